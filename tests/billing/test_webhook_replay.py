"""Events that failed are applied again, by the loop and by operators (8.8)."""

import datetime as dt

import pytest

from billing.services import reconciliation, reprocess, webhooks
from billing.services.reconciliation import webhook_replay
from billing.services.revival import NothingToRetry, WorkNotFound
from billing.states import Scope
from settld.audit.models import OpsAudit
from settld.core import tenancy
from settld.core.principals import Actor
from settld.stripe_gateway import consumers, metrics
from settld.stripe_gateway.consumers import Consumed
from settld.stripe_gateway.models import StripeEvent, StripeEventConsumption
from settld.stripe_gateway.services import consumption
from settld.stripe_gateway.states import Outcome
from tests.billing import factories, payloads
from tests.billing.workers import NOW, fired, frozen, provider, subscription

__all__ = ["fired", "provider"]
ACTOR = Actor(principal_id="operator:ada")


@pytest.fixture
def applied(monkeypatch):
    """What the consumer was given; an exception put into `ends` is raised instead."""

    class Applied(list):
        ends: list = []

    seen = Applied()
    seen.ends = []

    def handler(event: StripeEvent) -> Consumed:
        seen.append(event)
        if seen.ends:
            raise seen.ends.pop(0)
        return Consumed(Outcome.APPLIED)

    consumer = consumers.Consumer("checkout", frozenset(webhooks.EVENT_TYPES), handler, inline=True)
    monkeypatch.setitem(consumers._consumers, "checkout", consumer)
    return seen


def waiting(status: str = "failed", *, attempts: int = 1, **more) -> StripeEventConsumption:
    """A consumption as the inbox holds it."""
    event = payloads.stored(payloads.event("invoice.paid", payloads.invoice()))
    values = {
        "next_attempt_at": NOW,
        "created_at": NOW,
        "updated_at": NOW,
        "attempts": attempts,
        "lease_expires_at": NOW + dt.timedelta(seconds=120) if status == "leased" else None,
    } | more
    return StripeEventConsumption.objects.create(event=event, consumer="checkout", status=status, **values)


def replay(**later):
    with frozen(**later):
        return reconciliation.run(Scope.PENDING_RECENT)


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 60), (2, 120), (5, 960), (9, 15_360), (10, 21_600), (12, 21_600)]
)
def test_t139_the_waits_between_tries(attempts, seconds):
    """T-139: min(60 * 2^(n-1), 21600) seconds."""
    assert consumption.backoff(attempts) == dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("seconds", [-1, 0])
def test_t139_a_failed_event_is_tried_when_it_is_due(db, provider, applied, seconds):
    """T-139: not a second earlier."""
    row = waiting()

    done = replay(seconds=seconds)

    row.refresh_from_db()
    assert row.status == ("done" if seconds == 0 else "failed")
    assert len(applied) == (1 if seconds == 0 else 0)
    assert done.figures["webhooksDue"] == (1 if seconds == 0 else 0)


def test_t139_a_failure_is_counted_said_and_put_off(db, provider, applied, fired):
    """T-139: the next try waits longer; WEBHOOK_REPLAY_FAILED."""
    row = waiting(attempts=2)
    applied.ends.append(RuntimeError("still not"))

    done = replay()

    row.refresh_from_db()
    assert (row.status, row.attempts) == ("failed", 3)
    assert row.next_attempt_at == NOW + dt.timedelta(seconds=240)
    assert (done.figures["webhooksFailed"], done.figures["failed"]) == (1, 1)


@pytest.mark.parametrize(
    ("owner", "code"),
    [("door:web", "BILLING_WEBHOOK_PROCESSING_FAILED"), ("worker", "BILLING_WEBHOOK_REPLAY_FAILED")],
)
def test_t166_a_failed_try_of_our_own_consumer_is_counted_once_as_what_it_was(db, provider, owner, code):
    """T-166: the door's first try and a later one are told apart, and neither is counted twice."""
    codes = ("BILLING_WEBHOOK_PROCESSING_FAILED", "BILLING_WEBHOOK_REPLAY_FAILED")

    def counted() -> dict[str, float]:
        return {each: metrics.GUARDRAILS.labels(code=each)._value.get() for each in codes}

    before = counted()
    job = waiting()  # nobody knows its customer
    consumption.take(job, owner=owner, now=NOW)
    job.save()
    assert consumption.consume(job) is not None
    assert {each: n - before[each] for each, n in counted().items()} == {
        each: float(each == code) for each in codes
    }


def test_t139_the_twelfth_failure_is_the_last(db, provider, applied):
    """T-139: after that only an operator or the provider's redelivery tries again."""
    row = waiting(attempts=11)
    applied.ends.append(RuntimeError("never"))

    replay()
    replay(days=30)

    row.refresh_from_db()
    assert (row.status, row.attempts, len(applied)) == ("dead", 12, 1)


@pytest.mark.parametrize(
    ("status", "seconds", "is_taken"),
    [("pending", 299, False), ("pending", 300, True), ("leased", 299, False), ("leased", 300, True)],
)
def test_t139_an_event_that_got_stuck_is_taken_after_five_minutes(
    db, provider, applied, status, seconds, is_taken
):
    """T-139: received or processing rows older than five minutes; a shorter one may still be at work."""
    row = waiting(status, attempts=0)

    replay(seconds=seconds)

    row.refresh_from_db()
    assert (row.status == "done") is is_taken


def test_t139_one_that_the_inboxs_own_worker_has_is_left_to_it(db, provider, applied):
    """T-139: one lease, whoever comes first."""
    row = waiting()
    with frozen():
        consumption.claim_next(owner="inbox", now=NOW)
        assert webhook_replay.replay(row.pk) is None

    assert applied == []


def test_t139_another_consumers_events_are_not_ours(db, provider, applied):
    """T-139: each room's work is its own (ruling 6)."""
    row = waiting()
    StripeEventConsumption.objects.update(consumer="rails")

    replay()

    row.refresh_from_db()
    assert row.status == "failed"


@pytest.mark.parametrize("is_kept", [True, False])
def test_t139_a_scrubbed_payload_is_fetched_again_or_stays_failed(
    db, provider, applied, monkeypatch, is_kept
):
    """T-139: events.retrieve for 30 days; after that payload_expired."""
    from settld.stripe_gateway.models.event import SCRUBBED
    from settld.stripe_gateway.services import payloads as gateway

    row = waiting()
    body = row.event.body
    StripeEvent.objects.update(payload=SCRUBBED, payload_retention_until=None)

    def ask(**asked):
        if not is_kept:
            raise gateway.ProviderRejected({**ERROR, "httpStatus": 404}, attempts=())
        return type("Reply", (), {"body": body})()

    monkeypatch.setattr(gateway.client, "ask", ask)
    replay()

    row.refresh_from_db()
    if is_kept:
        assert (row.status, applied[0].body["id"]) == ("done", body["id"])
        assert StripeEvent.objects.get().is_scrubbed
    else:
        assert (row.status, row.error_code) == ("failed", "payload_expired")


ERROR = {
    "message": "No such event",
    "httpStatus": 404,
    "providerCode": "resource_missing",
    "providerType": "invalid_request_error",
    "providerRequestId": None,
}


def test_a_dry_run_counts_what_is_due_and_tries_nothing(db, provider, applied):
    waiting()
    with frozen():
        done = reconciliation.run(Scope.PENDING_RECENT, dry_run=True)

    assert done.figures["webhooksDue"] == 1
    assert applied == []


# --- By an operator -------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", ["failed", "dead", "pending"])
def test_an_operator_has_a_failed_event_applied_at_once(db, provider, applied, status):
    row = waiting(status, attempts=12, next_attempt_at=NOW + dt.timedelta(days=1), tenant_id="tenant_a")

    with frozen():
        done = reprocess.reprocess(event_id=row.event_id, actor=ACTOR)

    assert (done.status, done.outcome, len(applied)) == ("processed", "applied", 1)
    with tenancy.tenant_scope("tenant_a"):
        audited = OpsAudit.objects.filter(action="BILLING_WEBHOOK_REPROCESS").get()
    assert (audited.tenant_id, audited.target_id) == ("tenant_a", str(row.event_id))


def test_a_failure_under_an_operators_eyes_is_an_answer(db, provider, applied):
    row = waiting("dead", attempts=12)
    applied.ends.append(RuntimeError("still not"))

    with frozen():
        done = reprocess.reprocess(event_id=row.event_id, actor=ACTOR)

    assert (done.status, done.error_code, done.attempts) == ("failed", "INTERNAL_ERROR", 1)
    assert "still not" in done.error


@pytest.mark.parametrize("act", [reprocess.reprocess, reprocess.preview])
def test_an_event_that_is_applied_stays_so(db, provider, applied, act):
    """INV-33: processed once."""
    row = waiting("done", outcome="applied", finished_at=NOW)

    with frozen(), pytest.raises(NothingToRetry):
        act(event_id=row.event_id, actor=ACTOR)
    assert applied == []


def test_an_event_that_nobody_stored_is_not_found(db, provider):
    with pytest.raises(WorkNotFound):
        reprocess.reprocess(event_id=4711, actor=ACTOR)


def test_a_preview_tells_what_an_event_would_write_and_keeps_nothing(db, provider):
    entity = factories.workspace_entity()
    factories.subscription(entity, factories.plan(), factories.customer(entity))
    body = payloads.event("customer.subscription.updated", payloads.subscription(status="past_due"))
    event = payloads.stored(body)
    StripeEventConsumption.objects.create(
        event=event, consumer="checkout", status="failed", next_attempt_at=NOW, created_at=NOW, updated_at=NOW
    )

    with frozen():
        seen = reprocess.preview(event_id=event.pk, actor=ACTOR)

    changed = {(change["table"], change["kind"]): change for change in seen.changes}
    told = changed["billing_subscriptions", "changed"]
    assert (seen.status, seen.outcome) == ("processed", "applied")
    assert (told["before"]["status"], told["after"]["status"]) == ("active", "past_due")
    assert changed["billing_subscription_items", "created"]["before"] == {}
    assert subscription(entity).status == "active"
    assert StripeEventConsumption.objects.get().status == "failed"
    with frozen():
        reprocess.reprocess(event_id=event.pk, actor=ACTOR)
    assert subscription(entity).status == "past_due"


def test_a_preview_of_an_event_that_cannot_be_applied_says_why(db, provider):
    factories.workspace_entity()
    body = payloads.event("customer.subscription.updated", payloads.subscription(customer="cus_strange"))
    event = payloads.stored(body)
    StripeEventConsumption.objects.create(
        event=event, consumer="checkout", status="failed", next_attempt_at=NOW, created_at=NOW, updated_at=NOW
    )

    with frozen():
        seen = reprocess.preview(event_id=event.pk, actor=ACTOR)

    assert (seen.status, seen.changes) == ("failed", [])
    assert seen.error_code
