"""/console/unknown-outcomes: the queue, one attempt, the three acts as two-step forms, who may settle."""

import dataclasses
import datetime as dt
import re

import pytest

from moneyrails.models import DispatchAttempt, Operation
from settld.core import clock, tenancy
from tests.ops_console.world import count_rows, login, make_person, page_of, queries_of
from tests.support.factories import RecordingRail, provider, rails

QUEUE = "/console/unknown-outcomes"


@pytest.fixture
def stripe(settings, monkeypatch):
    """Stripe as a dictionary, for everything that the console does."""
    from moneyrails.rails import stripe as stripe_rail

    rail = RecordingRail()
    settings.MONEY_RAILS = rails(provider("sandbox"))
    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="sk_test_console")
    monkeypatch.setattr(stripe_rail, "StripeRail", lambda: rail)
    return rail


@pytest.fixture
def doubt(world, stripe):
    """Make a payout whose submit was answered by silence; gives its attempt."""
    from tests.moneyrails import doubts

    def make(party="p1", *, hours_ago=1, is_made=False, client=None):
        world.controls(realMoneyEnabled=True)
        operation = world.payout(
            party, moneyRailProviderId="stripe_sim", counterpartyRef="stripe_connect:acct_party1"
        )
        (stripe.after if is_made else stripe.before).append(doubts.lost())
        if client is None:
            path = f"/ops/money-rails/stripe_sim/operations/{operation['operationId']}/submit"
            assert world.api.post(path, {}).status_code == 502
        else:
            address = f"{page_of(operation)}/submit"
            client.post(address, form_of(client, address))
        with tenancy.tenant_scope("tenant_a"):
            row = Operation.objects.get(operation_id=operation["operationId"])
            sent = clock.now() - dt.timedelta(hours=hours_ago)
            row.attempts.update(first_sent_at=sent)
            return row.attempts.get()

    return make


def form_of(client, address):
    page = client.get(address).content.decode()
    return dict(re.findall(r'name="(idempotency_key|tenant)" value="([^"]+)"', page)) | dict(
        re.findall(r'id="field-[^"]+" name="([^"]+)" value="([^"]*)"', page)
    )


def status_of(attempt):
    with tenancy.tenant_scope("tenant_a"):
        row = DispatchAttempt.objects.select_related("operation").get(pk=attempt.pk)
        return row.status, row.operation.state


def act(client, attempt, name, **values):
    address = f"{QUEUE}/{attempt.pk}/{name}"
    return client.post(address, form_of(client, address) | values)


def test_the_queue_shows_each_doubt_with_its_countdown_and_the_nav_counts_them(world, finance, doubt):
    doubt("p1", hours_ago=1)
    doubt("p2", hours_ago=30)
    page = finance.get(QUEUE).content.decode()
    assert page.index("p1</a>") < page.index("p2</a>")
    assert re.search(r"data-countdown[^>]*>2[12] h \d\d min left<", page)
    assert re.search(r"badge--bad[^>]*data-countdown[^>]*>Over<", page)
    assert '<span class="nav__count" aria-label="2 waiting">2</span>' in page
    assert "the line broke" in page


def test_an_empty_queue_says_so(world, finance):
    world.statement("p1")
    page = finance.get(QUEUE).content.decode()
    assert "Every outcome is known" in page
    assert "nav__count" not in page


def test_a_page_shows_the_frozen_request_its_hash_and_what_the_provider_said(world, finance, doubt):
    from settld.core.hashing import canonical_hash

    attempt = doubt()
    page = finance.get(f"{QUEUE}/{attempt.pk}").content.decode()
    assert canonical_hash(attempt.request) in page
    assert attempt.idempotency_key in page
    assert "req_stripe_1" in page
    assert "You may settle it: you did not submit it." in page


def test_today_and_the_payout_lead_to_it(world, finance, doubt):
    attempt = doubt()
    assert QUEUE.encode() in finance.get("/console").content
    payout = page_of({"providerId": "stripe_sim", "operationId": attempt.operation.operation_id})
    assert f"{QUEUE}/{attempt.pk}".encode() in finance.get(payout).content


def test_asking_in_two_steps_adopts_the_transfer(world, finance, doubt):
    attempt = doubt(is_made=True)
    answer = act(finance, attempt, "ask")
    assert (answer.status_code, answer["location"]) == (303, f"{QUEUE}/{attempt.pk}")
    page = finance.get(answer["location"]).content
    assert b"The provider has the transfer; it is adopted" in page
    assert status_of(attempt) == ("succeeded", "submitted")


def test_replaying_sends_the_same_key_once_however_often_the_form_is_sent(world, finance, doubt, stripe):
    attempt = doubt()
    address = f"{QUEUE}/{attempt.pk}/replay"
    form = form_of(finance, address)
    finance.post(address, form)
    again = finance.post(address, form)
    assert b"sent before" in finance.get(again["location"]).content
    assert stripe.keys == [attempt.idempotency_key] * 2
    assert status_of(attempt) == ("succeeded", "submitted")


def test_after_the_deadline_a_replay_is_not_offered_and_refused(world, finance, doubt, stripe):
    attempt = doubt(hours_ago=24)
    page = finance.get(f"{QUEUE}/{attempt.pk}").content.decode()
    assert "The deadline is over" in page
    assert f"{QUEUE}/{attempt.pk}/replay" not in page
    answer = act(finance, attempt, "replay")
    assert (answer.status_code, b"MONEY_RAIL_REPLAY_WINDOW_CLOSED" in answer.content) == (409, True)
    assert len(stripe.keys) == 1


def test_settling_as_not_sent_says_what_it_means_and_permits_another_attempt(world, finance, doubt):
    attempt = doubt(hours_ago=24)
    page = finance.get(f"{QUEUE}/{attempt.pk}/settle/not_sent").content
    assert b"the party may be paid twice" in page
    answer = act(finance, attempt, "settle/not_sent", reason="nothing in the dashboard", evidence="")
    assert answer.status_code == 303
    assert status_of(attempt) == ("not_sent", "initiated")
    assert (
        b"Settled as not sent by finance: nothing in the dashboard" in finance.get(answer["location"]).content
    )


def test_settling_as_sent_is_held_against_the_provider(world, finance, doubt, stripe):
    attempt = doubt(hours_ago=24)
    sent = {"transfer_id": "tr_none", "reason": "seen", "evidence": "mail"}
    answer = act(finance, attempt, "settle/sent", **sent)
    assert (answer.status_code, b"MONEY_RAIL_EVIDENCE_REFUTED" in answer.content) == (409, True)
    assert status_of(attempt) == ("in_doubt", "initiated")


def test_a_settlement_without_a_reason_is_said_beside_its_field(world, finance, doubt):
    attempt = doubt(hours_ago=24)
    answer = act(finance, attempt, "settle/not_sent", reason=" ", evidence="")
    assert (answer.status_code, b"Reason is needed." in answer.content) == (422, True)


def test_whoever_submitted_is_told_why_they_may_not_settle_and_a_colleague_may(world, doubt):
    ada = login(make_person("ada", {"tenant_a": "finance"}))
    bob = login(make_person("bob", {"tenant_a": "finance"}))
    attempt = doubt(hours_ago=24, client=ada)
    page = ada.get(f"{QUEUE}/{attempt.pk}").content.decode()
    assert "You may not settle it: you, or a key of yours, submitted it." in page
    assert f"{QUEUE}/{attempt.pk}/settle" not in page
    answer = act(ada, attempt, "settle/not_sent", reason="sure", evidence="")
    assert (answer.status_code, b"MONEY_RAIL_SECOND_PERSON_REQUIRED" in answer.content) == (403, True)
    assert status_of(attempt) == ("in_doubt", "initiated")
    assert act(bob, attempt, "settle/not_sent", reason="sure", evidence="").status_code == 303
    assert status_of(attempt) == ("not_sent", "initiated")


def test_reading_roles_look_and_do_nothing(world, approver, doubt):
    attempt = doubt()
    page = approver.get(f"{QUEUE}/{attempt.pk}").content.decode()
    assert "need a role that may change money" in page
    assert approver.get(f"{QUEUE}/{attempt.pk}/ask").status_code == 403
    assert approver.post(f"{QUEUE}/{attempt.pk}/replay").status_code == 403


def test_what_the_provider_lists_now_is_read_and_nothing_is_written(world, approver, doubt, stripe):
    from moneyrails.models import DispatchCheck

    attempt = doubt(is_made=True)
    looks = count_rows(DispatchCheck, "tenant_a")
    (made,) = stripe.made.values()
    page = approver.get(f"{QUEUE}/{attempt.pk}/listing").content.decode()
    assert made.transfer_id in page
    assert "as ordered" in page
    fragment = approver.get(f"{QUEUE}/{attempt.pk}/listing", headers={"HX-Request": "true"}).content.decode()
    assert fragment.strip().startswith('<div id="listing">')
    assert count_rows(DispatchCheck, "tenant_a") == looks
    assert status_of(attempt) == ("in_doubt", "initiated")


def test_another_tenants_attempt_is_not_found(world, doubt):
    attempt = doubt()
    eve = login(make_person("eve", {"tenant_b": "finance"}))
    for page in ("", "/ask", "/settle/sent", "/listing"):
        assert eve.get(f"{QUEUE}/{attempt.pk}{page}").status_code == 404


def test_queries_do_not_grow_with_the_queue(world, approver, doubt):
    doubt("p0")
    few = queries_of(approver, QUEUE)
    for number in range(1, 5):
        doubt(f"p{number}")
    assert queries_of(approver, QUEUE) == few


def test_the_queue_pages_by_place(world, approver, doubt, monkeypatch):
    from ops_console.unknown_outcomes import listing

    monkeypatch.setattr(listing, "ROWS", 2)
    for number in range(3):
        doubt(f"p{number}")
    page = approver.get(QUEUE).content.decode()
    following = re.search(r'rel="next" href="([^"]+)"', page).group(1).replace("&amp;", "&")
    second = approver.get(following).content.decode()
    assert "p2</a>" in second
    assert "p0</a>" not in second
    assert approver.get(f"{QUEUE}?at=nonsense&status=nonsense").status_code == 200
