"""GET, POST /console/payouts/{providerId}/{operationId}/submit and /cancel, without scripts and with htmx."""

import re
import threading

import pytest

from moneyrails.models import DispatchAttempt, Movement
from settld.audit.models import OpsAudit
from tests.ops_console.world import World, count_rows, login, make_person, page_of

HTMX = {"HX-Request": "true", "HX-Target": "act"}


def form_of(client, address):
    """Read the hidden fields of a form as a browser would."""
    page = client.get(address).content.decode()
    return dict(re.findall(r'name="(idempotency_key|tenant)" value="([^"]+)"', page)) | dict(
        re.findall(r'id="field-[^"]+" name="([^"]+)" value="([^"]*)"', page)
    )


def test_a_payout_is_submitted_in_two_steps_without_scripts(world, finance):
    operation = world.payout("p1")
    address = f"{page_of(operation)}/submit"

    form = form_of(finance, address)
    answer = finance.post(address, form)

    assert (answer.status_code, answer["location"]) == (303, page_of(operation))
    assert world.read(operation)["state"] == "submitted"
    assert b"Submitted." in finance.get(answer["location"]).content


def test_asking_changes_nothing(world, finance):
    operation = world.payout("p1")

    for act in ("submit", "cancel"):
        assert finance.get(f"{page_of(operation)}/{act}").status_code == 200

    assert world.read(operation)["state"] == "initiated"


def test_the_same_form_sent_twice_is_one_submission(world, finance):
    operation = world.payout("p1")
    address = f"{page_of(operation)}/submit"
    form = form_of(finance, address)

    finance.post(address, form)
    again = finance.post(address, form)

    assert again.status_code == 303
    assert b"sent before" in finance.get(again["location"]).content
    assert count_rows(DispatchAttempt, "tenant_a") == 1
    assert count_rows(Movement, "tenant_a") == 1
    assert count_rows(OpsAudit, "tenant_a", action="MONEY_RAIL_OPERATION_SUBMITTED") == 1


def test_every_rendered_form_has_a_key_of_its_own(world, finance):
    operation = world.payout("p1")

    first = form_of(finance, f"{page_of(operation)}/submit")
    second = form_of(finance, f"{page_of(operation)}/submit")

    assert first["idempotency_key"] != second["idempotency_key"]


def test_the_audit_names_the_person(world):
    user = make_person("ada", {"tenant_a": "finance"})
    operation = world.payout("p1")
    address = f"{page_of(operation)}/submit"
    ada = login(user)

    ada.post(address, form_of(ada, address))

    principals = {"actor_principal_id": f"person:{user.pk}", "action": "MONEY_RAIL_OPERATION_SUBMITTED"}
    assert count_rows(OpsAudit, "tenant_a", **principals) == 1


def test_a_payout_is_cancelled_with_a_reason(world, finance):
    operation = world.payout("p1")
    address = f"{page_of(operation)}/cancel"

    finance.post(address, form_of(finance, address) | {"reason_code": "duplicate_of_march"})

    fresh = world.read(operation)
    assert (fresh["state"], fresh["reasonCode"]) == ("cancelled", "duplicate_of_march")


def test_a_missing_reason_is_said_beside_its_field_and_keeps_the_key(world, finance):
    operation = world.payout("p1")
    address = f"{page_of(operation)}/cancel"
    form = form_of(finance, address)

    answer = finance.post(address, form | {"reason_code": "  "})

    assert answer.status_code == 422
    assert b"Reason is needed." in answer.content
    assert form["idempotency_key"].encode() in answer.content
    assert world.read(operation)["state"] == "initiated"


def test_a_refusal_lands_in_the_form_with_its_code(world, finance):
    operation = world.payout("p1")
    address = f"{page_of(operation)}/submit"
    form = form_of(finance, address)
    world.controls(payoutKillSwitch=True)

    answer = finance.post(address, form, headers=HTMX | {"x-request-id": "req_stop"})

    assert answer.status_code == 409
    assert b"PAYOUT_KILL_SWITCH_ACTIVE" in answer.content
    assert b"req_stop" in answer.content
    assert b"<html" not in answer.content
    assert form["idempotency_key"].encode() in answer.content
    assert world.read(operation)["state"] == "initiated"


def test_the_same_form_goes_through_once_the_stop_is_lifted(world, finance):
    operation = world.payout("p1")
    address = f"{page_of(operation)}/submit"
    form = form_of(finance, address)
    world.controls(payoutKillSwitch=True)
    finance.post(address, form)
    world.controls(payoutKillSwitch=False)

    assert finance.post(address, form).status_code == 303

    assert world.read(operation)["state"] == "submitted"


def test_htmx_gets_fresh_acts_the_live_part_and_a_toast(world, finance):
    operation = world.payout("p1")
    address = f"{page_of(operation)}/submit"

    answer = finance.post(address, form_of(finance, address), headers=HTMX)

    page = answer.content.decode()
    assert answer.status_code == 200
    assert page.strip().startswith('<div id="act"')
    assert 'id="live" hx-swap-oob="outerHTML"' in page
    assert "toast--success" in page
    assert "Submit payout" not in page


def test_a_form_without_its_key_does_nothing(world, finance):
    operation = world.payout("p1")

    answer = finance.post(f"{page_of(operation)}/submit", {"tenant": "tenant_a"})

    assert answer.status_code == 400
    assert world.read(operation)["state"] == "initiated"


def test_a_form_of_another_tenant_does_nothing(world, finance):
    operation = world.payout("p1")
    address = f"{page_of(operation)}/cancel"

    answer = finance.post(address, form_of(finance, address) | {"tenant": "tenant_b"})

    assert answer.status_code == 409
    assert b"TENANT_SWITCHED" in answer.content
    assert world.read(operation)["state"] == "initiated"


@pytest.mark.parametrize("role", ["viewer", "operator", "approver", "auditor"])
def test_a_role_that_may_not_change_money_cannot(world, role):
    operation = world.payout("p1")
    person = world.person(role)

    for act in ("submit", "cancel"):
        form = {"tenant": "tenant_a", "idempotency_key": "k", "reason_code": "x"}
        assert person.post(f"{page_of(operation)}/{act}", form).status_code == 403
        assert person.get(f"{page_of(operation)}/{act}").status_code == 403

    assert world.read(operation)["state"] == "initiated"


def test_an_act_without_the_forgery_token_is_refused(world):
    from django.test import Client

    operation = world.payout("p1")
    strict = Client(enforce_csrf_checks=True, raise_request_exception=False)
    strict.force_login(
        make_person("ada", {"tenant_a": "finance"}), backend="django.contrib.auth.backends.ModelBackend"
    )

    answer = strict.post(f"{page_of(operation)}/submit", {"tenant": "tenant_a", "idempotency_key": "k"})

    assert answer.status_code == 403
    assert b"This form has expired" in answer.content
    assert world.read(operation)["state"] == "initiated"


def test_a_suspended_tenant_cannot_act(world, finance):
    from settld.tenants.models import Tenant

    operation = world.payout("p1")
    Tenant.objects.filter(tenant_id="tenant_a").update(status="suspended")

    answer = finance.get(page_of(operation))

    assert answer.status_code == 403
    assert b"TENANT_SUSPENDED" in answer.content


def test_a_double_click_is_one_submission(live_db, api):
    world = World(api)
    operation = world.payout("p1")
    user = make_person("ada", {"tenant_a": "finance"})
    address = f"{page_of(operation)}/submit"
    form = form_of(login(user), address)
    answers = []

    def click():
        from django.db import connection

        try:
            answers.append(login(user).post(address, form).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [303] * 4
    assert count_rows(DispatchAttempt, "tenant_a") == 1
    assert count_rows(Movement, "tenant_a") == 1


@pytest.fixture
def stripe_payout(world, settings, monkeypatch):
    """A payout at a provider that is called over the network, and the answers it will give."""
    from moneyrails.services import submission
    from settld.settings_parsing import MoneyRails, Provider

    answers = []

    class Scripted:
        def create_transfer(self, order):
            raise answers.pop(0)

        def find_transfers(self, order):
            return []

    providers = {"stripe_test": Provider("stripe_test", "production")}
    settings.MONEY_RAILS = MoneyRails("sandbox", "stripe_test", providers)
    monkeypatch.setattr(submission.stripe_rail, "StripeRail", Scripted)
    monkeypatch.setattr(submission.stripe_rail, "is_configured", lambda: True)
    world.controls(realMoneyEnabled=True)
    return world.payout("p1", counterpartyRef="stripe_connect:acct_1"), answers


def failure(kind, **error):
    from settld.stripe_gateway import outcomes

    fields = {
        "message": "the provider is not there",
        "provider": "stripe",
        "category": "network_error",
        "retryable": True,
        "httpStatus": None,
        "providerCode": None,
        "providerType": None,
        "providerRequestId": None,
        "endpoint": "/v1/transfers",
        "attempt": 3,
        "maxAttempts": 3,
        "circuitOpenUntil": None,
    }
    return getattr(outcomes, kind)(fields | error)


def test_an_unknown_outcome_is_not_shown_as_a_no(stripe_payout, finance):
    operation, answers = stripe_payout
    answers.append(failure("ProviderInDoubt"))
    address = f"{page_of(operation)}/submit"

    answer = finance.post(address, form_of(finance, address))
    page = finance.get(page_of(operation)).content.decode()

    assert answer.status_code == 409
    assert b"Whether money moved is not known yet" in answer.content
    assert b"MONEY_RAIL_PROVIDER_UPSTREAM_ERROR" in answer.content
    assert "In doubt" in page
    assert "Attempt 1: in doubt" in page
    assert "Cancel payout" not in page
    assert b"In doubt" in finance.get("/console/payouts?dispatch=unknown").content
    assert b"1 in doubt, 0 indeterminate" in finance.get("/console").content


def test_a_clear_no_is_shown_as_one_and_another_try_is_offered(stripe_payout, finance):
    operation, answers = stripe_payout
    answers.append(failure("ProviderRejected", category="upstream_rejected", message="no such destination"))
    address = f"{page_of(operation)}/submit"

    answer = finance.post(address, form_of(finance, address))
    page = finance.get(page_of(operation)).content.decode()

    assert b"not known yet" not in answer.content
    assert b"no such destination" in answer.content
    assert "Attempt 1: rejected" in page
    assert "Submit payout" in page
