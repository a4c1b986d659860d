"""Consuming: one lease at a time, every consumer its own outcome (checkout-billing 8.8, 9.1)."""

import datetime as dt

import pytest
from django.db import connection, transaction

from settld.core import clock
from settld.stripe_gateway import queries
from settld.stripe_gateway.consumers import Consumed
from settld.stripe_gateway.models import StripeEvent, StripeEventConsumption
from settld.stripe_gateway.services import consumption
from settld.stripe_gateway.services.consumption import backoff, claim_next, consume_due, finish
from settld.stripe_gateway.states import Outcome
from settld.stripe_gateway.tasks import consume_due as task
from tests.stripe_gateway.conftest import event_body
from tests.stripe_gateway.scripted_stripe import Say, transfer

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def frozen():
    with clock.freeze(NOW):
        yield


def consume(at: dt.datetime = NOW) -> int:
    with clock.freeze(at):
        return consume_due(owner="worker", limit=100, budget_seconds=60)


def claim(*, owner: str, at: dt.datetime) -> StripeEventConsumption | None:
    consumption.reclaim_abandoned(now=at)
    return claim_next(owner=owner, now=at)


def row(consumer: str = "rails") -> StripeEventConsumption:
    return StripeEventConsumption.objects.get(consumer=consumer)


@pytest.mark.parametrize("outcome", Outcome)
def test_a_consumers_verdict_is_kept(register, deliver, frozen, outcome):
    rails = register()
    rails.answer = Consumed(outcome, "tr_1 matches")
    deliver(event_body())

    assert consume() == 1

    done = row()
    assert (done.status, done.outcome, done.detail) == ("done", outcome, "tr_1 matches")
    assert (done.attempts, done.finished_at, done.lease_owner, done.lease_expires_at) == (1, NOW, "", None)
    assert consume() == 0
    assert rails.seen == ["evt_1"]


def test_one_consumers_failure_leaves_the_others_work_alone(register, deliver, frozen):
    rails, checkout = register("rails"), register("checkout")
    rails.misbehave = ValueError("no such operation; sk_test_abc")
    deliver(event_body())

    assert consume() == 2

    assert (row("checkout").status, row("checkout").outcome) == ("done", "applied")
    failed = row("rails")
    assert (failed.status, failed.outcome, failed.attempts) == ("failed", "", 1)
    assert failed.error == "ValueError: no such operation; [REDACTED]"
    assert failed.next_attempt_at == NOW + MINUTE

    rails.misbehave = None
    assert consume(NOW + MINUTE - dt.timedelta(seconds=1)) == 0
    assert consume(NOW + MINUTE) == 1
    assert (row("rails").status, row("rails").attempts, row("rails").error) == ("done", 2, "")
    assert (rails.seen, checkout.seen) == (["evt_1"] * 2, ["evt_1"])


def test_what_a_handler_wrote_before_it_failed_is_its_own_to_undo(register, deliver, frozen):
    def write_then_fail(event):
        with transaction.atomic():
            StripeEvent.objects.filter(pk=event.pk).update(object_id="tr_changed")
            raise RuntimeError("half way")

    from settld.stripe_gateway import consumers

    consumers.register(name="rails", event_types=("transfer.created",), handler=write_then_fail)
    deliver(event_body())
    consume()
    assert (StripeEvent.objects.get().object_id, row().status) == ("tr_1", "failed")


def test_a_handler_may_call_the_provider(register, deliver, frozen, provider):
    from settld.stripe_gateway import client, consumers

    def fetch(event):
        return Outcome.APPLIED, client.retrieve_transfer(event.object_id).id

    consumers.register(name="rails", event_types=("transfer.created",), handler=fetch)
    provider.will(Say(200, transfer()))
    deliver(event_body())
    consume()
    assert (row().status, row().detail) == ("done", "tr_1")


def test_the_wait_doubles_from_a_minute_to_six_hours():
    seconds = [int(backoff(attempts).total_seconds()) for attempts in range(1, 13)]
    assert seconds == [60, 120, 240, 480, 960, 1920, 3840, 7680, 15360, 21600, 21600, 21600]


def test_after_twelve_attempts_only_a_person_or_stripe_tries_again(register, deliver, frozen):
    rails = register()
    rails.misbehave = ValueError("never")
    deliver(event_body())
    at = NOW
    for _ in range(12):
        assert consume(at) == 1
        at += dt.timedelta(hours=7)

    assert (row().status, row().attempts) == ("dead", 12)
    assert consume(at + dt.timedelta(days=30)) == 0
    assert queries.backlog().dead == 1

    with clock.freeze(at):
        deliver(event_body())  # Stripe asks again: one more try
    assert consume(at) == 1
    assert (row().status, row().attempts) == ("dead", 13)

    rails.misbehave = None
    assert consumption.consume_again(consumption_ids=[row().pk], now=at) == [row().pk]
    assert (row().status, row().attempts) == ("pending", 0)
    assert consume(at) == 1
    assert (row().status, row().attempts) == ("done", 1)


def test_what_is_done_is_not_consumed_again(register, deliver, frozen):
    rails = register()
    deliver(event_body())
    consume()
    assert consumption.consume_again(consumption_ids=[row().pk], now=NOW) == []
    assert rails.seen == ["evt_1"]


def test_a_consumer_that_this_release_does_not_know_keeps_its_work(register, deliver, frozen, monkeypatch):
    from settld.stripe_gateway import consumers

    register("newer")
    deliver(event_body())
    monkeypatch.setattr(consumers, "_consumers", {})
    consume()
    assert (row("newer").status, row("newer").error) == (
        "failed",
        "ConsumerUnknown: no consumer is called newer",
    )


def test_a_lease_keeps_others_away_until_it_runs_out(register, deliver, frozen):
    register()
    deliver(event_body())
    first = claim_next(owner="a", now=NOW)
    assert first is not None
    assert (first.status, first.lease_owner, first.attempts) == ("leased", "a", 1)
    assert claim(owner="b", at=NOW + consumption.LEASE - dt.timedelta(milliseconds=1)) is None

    second = claim(owner="b", at=NOW + consumption.LEASE)

    assert second is not None
    assert (second.pk, second.lease_owner, second.attempts) == (first.pk, "b", 2)


def test_a_worker_whose_lease_was_taken_over_writes_nothing(register, deliver, frozen):
    register()
    deliver(event_body())
    late = claim_next(owner="a", now=NOW)
    claim(owner="b", at=NOW + consumption.LEASE)

    assert finish(late, outcome=Outcome.APPLIED, detail="late", now=NOW) is False
    assert consumption.fail(late, error=ValueError("late"), now=NOW) is False

    assert (row().status, row().lease_owner, row().outcome, row().detail) == ("leased", "b", "", "")


def test_what_kills_its_worker_every_time_is_given_up(register, deliver, frozen):
    rails = register()
    deliver(event_body())
    at = NOW
    for _ in range(12):
        assert claim(owner="doomed", at=at) is not None
        at += consumption.LEASE
    assert consume(at) == 0
    assert (row().status, row().error) == ("dead", consumption.ABANDONED)
    assert rails.seen == []


def test_a_limit_and_a_budget_end_a_run_and_ring_for_the_rest(register, deliver, frozen, monkeypatch):
    rung = []
    monkeypatch.setattr(consumption.bell, "ring", lambda: rung.append(1))
    rails = register()
    for number in range(3):
        deliver(event_body(f"evt_{number}"))
    assert consume_due(owner="w", limit=2, budget_seconds=60) == 2
    assert rung == [1]
    assert consume_due(owner="w", limit=2, budget_seconds=0) == 0
    assert rung == [1]
    assert consume_due(owner="w", limit=2, budget_seconds=60) == 1
    assert rails.seen == ["evt_0", "evt_1", "evt_2"]


def test_the_task_takes_a_newer_releases_arguments(register, deliver, frozen):
    rails = register()
    deliver(event_body())
    task(limit=5, unheard_of=True)
    assert rails.seen == ["evt_1"]


def test_stored_events_stay(register, deliver, frozen):
    register()
    deliver(event_body())
    with pytest.raises(Exception, match="Cannot delete"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM billing_webhook_event_consumptions")
        cursor.execute("DELETE FROM billing_webhook_events")
    assert queries.events_about("tr_1").get().provider_event_id == "evt_1"


def test_the_backlog_counts_what_is_open(register, deliver, frozen):
    rails = register("rails")
    register("checkout")
    rails.misbehave = ValueError()
    assert queries.backlog() == queries.Backlog(waiting=0, failed=0, dead=0, oldest_due_at=None)
    deliver(event_body())
    assert queries.backlog() == queries.Backlog(waiting=2, failed=0, dead=0, oldest_due_at=NOW)
    consume()
    assert queries.backlog() == queries.Backlog(waiting=0, failed=1, dead=0, oldest_due_at=NOW + MINUTE)
