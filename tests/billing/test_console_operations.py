"""The operators' routes: run, retry, reprocess, report; each asks for the right, each act is audited."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from billing.api import console_operations
from billing.models import BillingOutboxJob, ReconciliationRun, Remediation
from billing.services import reconciliation
from billing.states import Scope
from settld.audit.models import OpsAudit
from settld.core import tenancy
from settld.stripe_gateway.models import StripeEventConsumption
from tests.billing import factories, payloads
from tests.billing.workers import (
    NOW,
    fired,
    frozen,
    job,
    owe_cancellation,
    owe_expiry,
    owed,
    provider,
    two_subscriptions,
)
from tests.support.api import body

__all__ = ["fired", "provider"]
CONSOLE = "/api/console/billing"
SCOPES = Path(reconciliation.__file__).parent
ROUTES = (
    ("POST", f"{CONSOLE}/reconciliation/checkout_open/run"),
    ("POST", f"{CONSOLE}/outbox/1/retry"),
    ("POST", f"{CONSOLE}/remediations/1/retry"),
    ("POST", f"{CONSOLE}/webhooks/1/reprocess"),
    ("GET", f"{CONSOLE}/reports/summary"),
)


@pytest.fixture
def entity(db):
    return factories.workspace_entity()


def audited(action: str, tenant_id: str = "tenant_a") -> OpsAudit:
    with tenancy.tenant_scope(tenant_id):
        return OpsAudit.objects.filter(action=action).get()


def no_audit() -> bool:
    with tenancy.platform_scope(reason="test"):
        return not OpsAudit.objects.exclude(action="PLATFORM_READ").exists()


# --- Who may --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_who_has_not_the_right_is_refused_and_nothing_happens(entity, api, provider, method, path):
    """A token that only reads does not act."""
    answer = api.with_token("tok_read").call(method, path, {} if method == "POST" else None)

    assert answer.status_code == 403
    assert body(answer)["code"] == "CONSOLE_PERMISSION_REQUIRED"
    assert body(answer)["details"]["permission"] == "console.billing.operations.manage"
    assert not ReconciliationRun.objects.exists()
    assert no_audit()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_is_asked_to_log_in(db, api, method, path):
    assert api.with_token("").call(method, path, {} if method == "POST" else None).status_code == 401


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_t110_with_billing_off_there_is_no_such_door(db, api, settings, method, path):
    """T-110: 404 {"error":"Not found."}."""
    settings.BILLING = dataclasses.replace(settings.BILLING, enabled=False)
    answer = api.call(method, path, {} if method == "POST" else None)

    assert (answer.status_code, body(answer)) == (404, {"error": "Not found."})


@pytest.mark.parametrize("row_id", ["0", "-1", "x", "1.5", "9223372036854775808", "9" * 40, "%00", "\uff14"])
@pytest.mark.parametrize("kind", ["outbox/{}/retry", "remediations/{}/retry", "webhooks/{}/reprocess"])
def test_what_is_no_id_is_not_found(db, api, provider, kind, row_id):
    assert api.post(f"{CONSOLE}/{kind.format(row_id)}").status_code == 404


@pytest.mark.parametrize("path", [path for method, path in ROUTES if method == "POST"])
@pytest.mark.parametrize("sent", [{"surprise": 1}, {"dryRun": "yes"}, {"limit": "5"}, {"limit": 0}])
def test_a_body_of_another_shape_is_refused(db, api, provider, path, sent):
    answer = api.post(path, sent)

    assert answer.status_code == 400
    assert body(answer)["code"] == "VALIDATION_ERROR"
    assert no_audit()


# --- Runs -----------------------------------------------------------------------------------------------
def test_a_scope_is_run_and_the_act_is_audited(entity, api, provider):
    answer = api.post(f"{CONSOLE}/reconciliation/checkout_open/run", {"limit": 5})

    told = body(answer)["run"]
    assert answer.status_code == 200
    assert (told["scope"], told["status"], told["dryRun"], told["scanned"]) == (
        "checkout_open",
        "succeeded",
        False,
        0,
    )
    row = audited("BILLING_RECONCILIATION_RUN", "tenant_default")
    assert (row.target_type, row.target_id) == ("billing_reconciliation", "checkout_open")
    assert json.loads(row.details_text)["limit"] == 5


def test_a_dry_run_says_what_it_would_repair(entity, api, provider):
    row = factories.session(entity, provider_checkout_session_id="cs_1", created_at=NOW, expires_at=NOW)
    provider.hold(
        payloads.session(status="expired", customer=None, metadata=payloads.labels(entity, row.operation_key))
    )

    told = body(api.post(f"{CONSOLE}/reconciliation/checkout_open/run", {"dryRun": True}))["run"]

    assert (told["driftDetected"], told["repaired"], told["dryRun"]) == (1, 0, True)
    assert not ReconciliationRun.objects.exists()


def test_a_run_that_is_at_work_is_said_so(db, api, provider):
    from billing.services.reconciliation import runs

    runs.open_run(Scope.CHECKOUT_OPEN)
    told = body(api.post(f"{CONSOLE}/reconciliation/checkout_open/run"))["run"]

    assert (told["status"], told["reason"]) == ("skipped", "active_run_exists")


def test_a_run_for_somebody_who_waits_is_bounded_and_gone_on_with(entity, api, provider):
    from billing.services import reconciliation
    from billing.services.reconciliation import runs

    for number in range(3):
        factories.session(entity, flow="one_off", expires_at=None, operation_key=f"{number:064d}")
    told = body(api.post(f"{CONSOLE}/reconciliation/checkout_open/run", {"limit": 2}))["run"]

    assert (told["scanned"], told["complete"]) == (2, False)
    assert Scope.CHECKOUT_OPEN in reconciliation.due(now=runs.last_run(Scope.CHECKOUT_OPEN).started_at)
    assert api.post(f"{CONSOLE}/reconciliation/checkout_open/run", {"limit": 1001}).status_code == 400


@pytest.mark.parametrize("scope", Scope)
def test_a_run_tells_nothing_that_the_route_does_not_describe(entity, api, provider, scope):
    """What scopes count besides (`note`) is part of the answer, so the description names it."""
    ran = body(api.post(f"{CONSOLE}/reconciliation/{scope}/run", {}))["run"]
    assert ran.keys() - console_operations._RUN["properties"].keys() == set()
    noted = re.findall(r"\.note\(\s*\"(\w+)\"", "".join(file.read_text() for file in SCOPES.glob("*.py")))
    assert set(noted) == set(console_operations._NOTES)


def test_a_scope_that_there_is_not(db, api, provider):
    assert api.post(f"{CONSOLE}/reconciliation/everything/run").status_code == 404
    assert no_audit()


# --- Retries --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", ["dead_letter", "failed", "pending"])
def test_a_job_is_brought_back(entity, api, status):
    row = owe_expiry(entity)
    with tenancy.tenant_scope(entity.tenant_id):
        BillingOutboxJob.objects.filter(pk=row.pk).update(
            status=status, attempt_count=8, last_error_text="no", available_at=NOW.replace(year=2099)
        )

    answer = api.post(f"{CONSOLE}/outbox/{row.pk}/retry")

    after, told = job(entity), body(answer)["job"]
    assert answer.status_code == 200
    assert (told["id"], told["status"], told["attemptCount"]) == (row.pk, "pending", 0)
    assert (after.status, after.attempt_count, after.finished_at) == ("pending", 0, None)
    assert after.available_at.year < 2099
    assert after.lease_version > row.lease_version
    noted = audited("BILLING_OUTBOX_RETRY")
    assert (noted.target_id, json.loads(noted.details_text)["statusBefore"]) == (str(row.pk), status)


@pytest.mark.parametrize("status", ["succeeded", "leased"])
def test_a_job_that_is_done_or_in_hand_is_left(entity, api, status):
    row = owe_expiry(entity)
    with tenancy.tenant_scope(entity.tenant_id):
        BillingOutboxJob.objects.filter(pk=row.pk).update(
            status=status, lease_expires_at=NOW if status == "leased" else None
        )

    answer = api.post(f"{CONSOLE}/outbox/{row.pk}/retry")

    assert (answer.status_code, body(answer)["code"]) == (409, "BILLING_NOTHING_TO_RETRY")
    assert job(entity).status == status
    assert no_audit()


def test_a_remediation_is_brought_back(entity, api, provider):
    owe_cancellation(entity, *two_subscriptions(provider, entity))
    row = owed(entity)
    with factories.locked(entity):
        Remediation.objects.update(status="dead_letter", attempt_count=6, resolved_at=NOW)

    answer = api.post(f"{CONSOLE}/remediations/{row.pk}/retry")

    after = owed(entity)
    assert body(answer)["remediation"]["status"] == after.status == "pending"
    assert (after.attempt_count, after.resolved_at) == (0, None)
    assert audited("BILLING_REMEDIATION_RETRY").target_id == str(row.pk)
    assert api.post(f"{CONSOLE}/remediations/4711/retry").status_code == 404


@pytest.mark.parametrize("status", ["succeeded", "in_progress"])
def test_a_remediation_that_is_done_or_in_hand_is_left(entity, api, provider, status):
    owe_cancellation(entity, *two_subscriptions(provider, entity))
    with factories.locked(entity):
        Remediation.objects.update(status=status, lease_expires_at=NOW if status == "in_progress" else None)

    assert api.post(f"{CONSOLE}/remediations/{owed(entity).pk}/retry").status_code == 409
    assert no_audit()


# --- Events ---------------------------------------------------------------------------------------------
@pytest.fixture
def failed_event(entity):
    """An event that says that the entity's subscription is past due, and was not applied."""
    factories.subscription(entity, factories.plan(), factories.customer(entity))
    event = payloads.stored(
        payloads.event("customer.subscription.updated", payloads.subscription(status="past_due"))
    )
    return StripeEventConsumption.objects.create(
        event=event,
        consumer="checkout",
        status="dead",
        attempts=12,
        tenant_id=entity.tenant_id,
        next_attempt_at=NOW,
        created_at=NOW,
        updated_at=NOW,
    )


def test_an_event_is_looked_at_before_it_is_applied_again(entity, api, provider, failed_event):
    path = f"{CONSOLE}/webhooks/{failed_event.event_id}/reprocess"

    seen = body(api.post(path, {"dryRun": True}))["webhook"]
    kept = StripeEventConsumption.objects.get().status
    done = body(api.post(path))["webhook"]
    again = api.post(path)

    changed = [row for row in seen["changes"] if row["table"] == "billing_subscriptions"]
    assert (seen["dryRun"], seen["status"], kept) == (True, "processed", "dead")
    assert (changed[0]["before"]["status"], changed[0]["after"]["status"]) == ("active", "past_due")
    assert (done["status"], done["outcome"], done["changes"]) == ("processed", "applied", [])
    assert (again.status_code, body(again)["code"]) == (409, "BILLING_NOTHING_TO_RETRY")
    assert audited("BILLING_WEBHOOK_PREVIEW").target_id == audited("BILLING_WEBHOOK_REPROCESS").target_id


# --- Report ---------------------------------------------------------------------------------------------
def test_the_report_of_an_empty_deployment(db, api):
    told = body(api.get(f"{CONSOLE}/reports/summary"))

    assert told["currencies"] == []
    assert set(told["blockedCheckouts"].values()) == set(told["deadLetters"].values()) == {0}
    assert audited("PLATFORM_READ", "tenant_default").target_type == "billing_report"


@pytest.mark.parametrize("months", ["0", "37", "-1", "x", "1e3", "999999999999999999999", "%00"])
def test_a_span_that_is_none_is_refused(db, api, months):
    assert api.get(f"{CONSOLE}/reports/summary?months={months}").status_code == 400


def test_the_report_counts_the_dead(entity, api, provider, failed_event):
    row = owe_expiry(entity)
    with tenancy.tenant_scope(entity.tenant_id):
        BillingOutboxJob.objects.filter(pk=row.pk).update(status="dead_letter")
    factories.session(entity, expires_at=None)

    with frozen():
        told = body(api.get(f"{CONSOLE}/reports/summary"))

    assert told["deadLetters"] == {"outbox": 1, "remediations": 0, "webhooks": 1}
    assert told["blockedCheckouts"]["open"] == 1
    assert told["subscriptions"]["active"] == 1
