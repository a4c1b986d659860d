"""Consumers that the door runs itself: what Stripe is told, what the row keeps (checkout-billing 8.1)."""

import datetime as dt

import pytest
from django.db import DatabaseError, OperationalError, connection

from settld.core import clock
from settld.core.errors import Conflict, Refusal
from settld.stripe_gateway import client, consumers
from settld.stripe_gateway.consumers import Consumed
from settld.stripe_gateway.metrics import GUARDRAILS
from settld.stripe_gateway.models import StripeEvent, StripeEventConsumption
from settld.stripe_gateway.outcomes import ProviderTrouble
from settld.stripe_gateway.services import bell, consumption
from settld.stripe_gateway.services.consumption import claim_next, consume_due
from settld.stripe_gateway.states import Outcome
from tests.stripe_gateway.conftest import event_body
from tests.stripe_gateway.scripted_stripe import Say, refusal, transfer

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
KEY = "a" * 64


class CorrelationMismatch(Conflict):
    code = "CHECKOUT_SESSION_CORRELATION_MISMATCH"
    message = "the session is not ours"


@pytest.fixture
def frozen():
    with clock.freeze(NOW):
        yield


@pytest.fixture
def checkout(register, frozen):
    return register("checkout", inline=True)


def row(consumer: str = "checkout") -> StripeEventConsumption:
    return StripeEventConsumption.objects.get(consumer=consumer)


def work(at: dt.datetime) -> int:
    with clock.freeze(at):
        return consume_due(owner="worker", limit=10, budget_seconds=60)


def guardrail(code: str) -> float:
    return GUARDRAILS.labels(code=code)._value.get()


@pytest.mark.parametrize("outcome", Outcome)
def test_t111_an_inline_consumers_verdict_is_there_when_stripe_has_its_200(checkout, deliver, outcome):
    checkout.answer = Consumed(outcome, "cs_1", tenant_id="t_1", billable_entity_id=7, operation_key=KEY)

    response = deliver(event_body())

    assert (response.status_code, response.json()) == (200, {"ok": True})
    done = row()
    assert (done.status, done.outcome, done.detail, done.attempts) == ("done", outcome, "cs_1", 1)
    assert (done.tenant_id, done.billable_entity_id, done.operation_key) == ("t_1", 7, KEY)
    assert (done.processing_started_at, done.finished_at, done.last_failed_at) == (NOW, NOW, None)
    assert (done.lease_owner, done.lease_expires_at) == ("", None)
    assert work(NOW + MINUTE) == 0


def test_a_verdict_of_two_parts_knows_nobody(checkout, deliver):
    deliver(event_body())
    done = row()
    assert (done.tenant_id, done.billable_entity_id, done.operation_key) == ("", None, "")


def test_an_inline_consumer_may_call_the_provider(register, deliver, provider):
    def fetch(event):
        return Outcome.APPLIED, client.retrieve_transfer(event.object_id).id

    consumers.register(name="checkout", event_types=("transfer.created",), handler=fetch, inline=True)
    provider.will(Say(200, transfer()))
    assert deliver(event_body()).status_code == 200
    assert row().detail == "tr_1"


TROUBLES = {
    "correlation": (CorrelationMismatch(), 409, "CHECKOUT_SESSION_CORRELATION_MISMATCH"),
    "another refusal": (Refusal("no", code="NO"), 400, "NO"),
    "lock": (OperationalError("canceling statement due to lock timeout"), 503, "SERVICE_UNAVAILABLE"),
    "provider": (ProviderTrouble("no answer"), 503, "SERVICE_UNAVAILABLE"),
    "database": (DatabaseError("relation sk_test_abc"), 500, "INTERNAL_ERROR"),
    "bug": (KeyError("secret text"), 500, "INTERNAL_ERROR"),
}
KEPT = {
    "correlation": "CHECKOUT_SESSION_CORRELATION_MISMATCH",
    "another refusal": "NO",
    "lock": "DATABASE_BUSY",
    "provider": "BILLING_PROVIDER_UNAVAILABLE",
    "database": "INTERNAL_ERROR",
    "bug": "INTERNAL_ERROR",
}


@pytest.mark.parametrize("kind", TROUBLES)
def test_t111_what_a_consumer_raises_decides_what_stripe_is_told(checkout, deliver, kind):
    trouble, status, code = TROUBLES[kind]
    checkout.misbehave = trouble
    before = guardrail("BILLING_WEBHOOK_PROCESSING_FAILED")

    response = deliver(event_body())

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.json()["details"]["code"] == code
    assert "secret text" not in response.content.decode()
    failed = row()
    assert (failed.status, failed.attempts, failed.error_code) == ("failed", 1, KEPT[kind])
    assert (failed.last_failed_at, failed.next_attempt_at) == (NOW, NOW + MINUTE)
    assert "sk_test" not in failed.error
    assert StripeEvent.objects.count() == 1
    assert guardrail("BILLING_WEBHOOK_PROCESSING_FAILED") == before + 1


def test_t111_trouble_at_the_provider_is_a_503_that_a_worker_mends(register, deliver, provider, frozen):
    def fetch(event):
        return Outcome.APPLIED, client.retrieve_transfer(event.object_id).id

    consumers.register(name="checkout", event_types=("transfer.created",), handler=fetch, inline=True)
    provider.will(refusal(500), refusal(500), refusal(500), Say(200, transfer()))
    response = deliver(event_body())
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert row().error_code == "BILLING_PROVIDER_UNAVAILABLE"
    assert work(NOW + MINUTE) >= 1
    assert (row().status, row().error_code, row().attempts) == ("done", "", 2)


def test_what_a_consumer_found_out_before_it_failed_is_kept(checkout, deliver):
    checkout.misbehave = CorrelationMismatch()
    consumers.correlate(checkout.misbehave, tenant_id="t_1", billable_entity_id=7)
    consumers.correlate(checkout.misbehave, tenant_id="t_other", operation_key=KEY)
    deliver(event_body())
    failed = row()
    assert (failed.tenant_id, failed.billable_entity_id, failed.operation_key) == ("t_1", 7, KEY)

    checkout.misbehave = None
    work(NOW + MINUTE)
    done = row()
    assert (done.status, done.tenant_id, done.billable_entity_id) == ("done", "t_1", 7)


def test_a_worker_tries_again_what_the_door_could_not(checkout, deliver):
    checkout.misbehave = KeyError("once")
    deliver(event_body())
    before = guardrail("BILLING_WEBHOOK_REPLAY_FAILED")
    assert work(NOW + MINUTE - dt.timedelta(seconds=1)) == 0
    assert work(NOW + MINUTE) == 1
    assert guardrail("BILLING_WEBHOOK_REPLAY_FAILED") == before + 1
    assert (row().status, row().attempts, row().next_attempt_at) == ("failed", 2, NOW + 3 * MINUTE)
    checkout.misbehave = None
    assert work(NOW + 3 * MINUTE) == 1
    assert (row().status, row().attempts, row().error, row().error_code) == ("done", 3, "", "")


def test_t107_a_redelivery_of_what_failed_runs_it_again_at_once(checkout, deliver):
    checkout.misbehave = CorrelationMismatch()
    assert deliver(event_body()).status_code == 409
    assert deliver(event_body()).status_code == 409
    assert (row().attempts, row().status) == (2, "failed")
    checkout.misbehave = None
    assert deliver(event_body()).status_code == 200
    assert (row().attempts, row().status, checkout.seen) == (3, "done", ["evt_1"] * 3)


def test_t107_a_redelivery_revives_what_was_given_up(checkout, deliver):
    checkout.misbehave = KeyError("never")
    deliver(event_body())
    StripeEventConsumption.objects.update(status="dead", attempts=12)
    checkout.misbehave = None
    assert deliver(event_body()).status_code == 200
    assert (row().status, row().attempts) == ("done", 13)


def test_t106_a_duplicate_of_what_is_done_answers_200_and_runs_nothing(checkout, deliver):
    deliver(event_body())
    assert deliver(event_body()).json() == {"ok": True}
    assert (row().attempts, checkout.seen, StripeEvent.objects.get().delivery_count) == (1, ["evt_1"], 2)


def test_t106_a_duplicate_while_another_works_on_it_answers_200(register, deliver, frozen):
    answers = []

    def handler(_event):
        if not answers:
            answers.append(None)
            answers.append(deliver(event_body()).status_code)
        return Outcome.APPLIED, "mine"

    consumers.register(name="checkout", event_types=("transfer.created",), handler=handler, inline=True)
    assert deliver(event_body()).status_code == 200
    assert answers == [None, 200]
    assert (row().status, row().attempts) == ("done", 1)


def test_a_redelivery_takes_over_from_a_door_that_died(checkout, deliver):
    deliver(event_body())
    StripeEventConsumption.objects.update(
        status="leased", outcome="", finished_at=None, lease_expires_at=NOW, lease_owner="door:gone:1"
    )
    assert deliver(event_body()).status_code == 200
    assert (row().status, row().attempts) == ("done", 2)


def test_a_door_that_was_overtaken_writes_nothing_and_answers_200(register, frozen, deliver):
    def handler(_event):
        consumption.reclaim_abandoned(now=NOW + consumption.LEASE)
        assert claim_next(owner="worker", now=NOW + consumption.LEASE) is not None
        raise KeyError("too late")

    consumers.register(name="checkout", event_types=("transfer.created",), handler=handler, inline=True)
    assert deliver(event_body()).status_code == 200
    assert (row().status, row().lease_owner, row().error_code) == ("leased", "worker", "")


def test_other_consumers_wait_for_a_worker_and_are_not_concerned(register, frozen, deliver):
    checkout, rails = register("checkout", inline=True), register("rails")
    checkout.misbehave = KeyError("mine alone")
    assert deliver(event_body()).status_code == 500
    assert (row("rails").status, rails.seen) == ("pending", [])
    assert work(NOW) == 1
    assert (row("rails").status, row("checkout").status) == ("done", "failed")
    deliver(event_body())
    assert (row("rails").attempts, row("checkout").attempts) == (1, 2)


def test_a_redelivery_reaches_a_consumer_that_was_not_there_before(register, frozen, deliver):
    register("rails")
    deliver(event_body())
    checkout = register("checkout", inline=True)
    ledger = register("ledger")

    assert deliver(event_body()).status_code == 200

    assert (row().status, row().attempts, checkout.seen) == ("done", 1, ["evt_1"])
    assert (row("ledger").status, ledger.seen) == ("pending", [])
    deliver(event_body())
    assert (StripeEventConsumption.objects.count(), checkout.seen) == (3, ["evt_1"])


def test_the_bell_rings_only_for_a_worker(
    register, frozen, deliver, monkeypatch, django_capture_on_commit_callbacks
):
    rung = []
    monkeypatch.setattr(bell, "ring", lambda: rung.append(1))
    register("checkout", "a.b", inline=True)
    register("rails", "c.d")
    with django_capture_on_commit_callbacks(execute=True):
        deliver(event_body(type="a.b"))
    assert rung == []
    with django_capture_on_commit_callbacks(execute=True):
        deliver(event_body("evt_2", type="c.d"))
    assert rung == [1]


def test_t110_a_consumer_that_is_off_stores_nothing(register, deliver, frozen):
    checkout = register("checkout", inline=True, is_on=lambda: False)
    assert deliver(event_body()).json() == {"ok": True}
    assert (StripeEvent.objects.count(), checkout.seen) == (0, [])


def test_the_inbox_can_be_told_apart_by_entity_and_operation(checkout, deliver):
    checkout.answer = Consumed(Outcome.APPLIED, "", "t_1", 7, KEY)
    deliver(event_body())
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for where in ("billable_entity_id = 7", f"operation_key = '{KEY}'"):
            cursor.execute(
                f"EXPLAIN SELECT * FROM billing_webhook_event_consumptions WHERE {where} ORDER BY updated_at"
            )
            assert "Index Scan" in "\n".join(line for (line,) in cursor.fetchall())
