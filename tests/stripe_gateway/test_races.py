"""Real connections at once: one event, one row, one consumer at a time."""

import datetime as dt
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

from settld.core import clock, failpoints
from settld.stripe_gateway import consumers
from settld.stripe_gateway.models import StripeEvent, StripeEventConsumption
from settld.stripe_gateway.services import consumption, inbox
from settld.stripe_gateway.services.consumption import consume_due
from settld.stripe_gateway.states import Outcome
from tests.stripe_gateway.conftest import event_body
from tests.stripe_gateway.signing import SECRET, signed

pytestmark = pytest.mark.usefixtures("live_db")
THREADS = 8
TRUST = inbox.Trust(secrets=(SECRET,), tolerance_seconds=300, is_live=False)


def receive(payload: bytes) -> inbox.Delivery:
    now = clock.now()
    return inbox.receive(payload=payload, signature=signed(payload, at=now), trust=TRUST, now=now)


def at_once(work, arguments):
    """Run work for every argument on a connection of its own, all starting together."""
    barrier = threading.Barrier(len(arguments))

    def run(argument):
        barrier.wait(10)
        try:
            return work(argument)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(run, arguments))


@pytest.fixture(autouse=True)
def _quiet_bell(monkeypatch):
    monkeypatch.setattr(inbox.bell, "ring", lambda: None)


def test_t106_one_event_delivered_many_times_at_once_is_stored_once(register):
    register("rails")
    register("checkout")
    for round_number in range(10):
        results = at_once(receive, [event_body(f"evt_{round_number}")] * THREADS)
        assert sorted(results) == ["duplicate"] * (THREADS - 1) + ["stored"]
    assert StripeEvent.objects.count() == 10
    assert StripeEventConsumption.objects.count() == 20
    assert set(StripeEvent.objects.values_list("delivery_count", flat=True)) == {THREADS}


def test_a_delivery_waits_for_its_twin_and_stores_it_when_the_twin_is_undone(register):
    register()
    payload = event_body()
    inserted, give_up = threading.Event(), threading.Event()

    def first(_argument):
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            event = inbox._event(payload, now=clock.now())
            assert inbox._insert(event) is not None
            inserted.set()
            give_up.wait(10)
            cursor.execute("ROLLBACK")

    def second(_argument):
        inserted.wait(10)
        threading.Timer(0.3, give_up.set).start()
        return receive(payload)

    results = at_once(lambda act: act(None), [first, second])
    assert results == [None, "stored"]
    assert (StripeEvent.objects.count(), StripeEventConsumption.objects.count()) == (1, 1)


def test_workers_side_by_side_consume_each_event_once(register):
    seen: list[str] = []

    def handler(event):
        assert not connection.in_atomic_block
        time.sleep(0.005)
        seen.append(event.provider_event_id)
        return Outcome.APPLIED, ""

    consumers.register(name="race", event_types=("transfer.created",), handler=handler)
    for number in range(40):
        receive(event_body(f"evt_{number}"))

    done = at_once(
        lambda owner: consume_due(owner=owner, limit=100, budget_seconds=30), [f"w{n}" for n in range(4)]
    )

    assert sum(done) == 40
    assert sorted(seen) == sorted(f"evt_{number}" for number in range(40))
    ends = StripeEventConsumption.objects.values_list("status", "attempts")
    assert set(ends) == {("done", 1)}


def test_a_consumer_that_loses_its_connection_loses_nothing(register):
    broken = []

    def handler(event):
        if not broken:
            broken.append(1)
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return Outcome.APPLIED, "second try"

    consumers.register(name="rails", event_types=("transfer.created",), handler=handler)
    receive(event_body())
    consume_due(owner="w", limit=10, budget_seconds=30)
    assert StripeEventConsumption.objects.get().status == "failed"
    with clock.freeze(clock.now() + dt.timedelta(minutes=2)):
        consume_due(owner="w", limit=10, budget_seconds=30)
    assert StripeEventConsumption.objects.get().detail == "second try"


def test_the_event_is_committed_before_an_inline_consumer_runs_and_no_transaction_is_open(register):
    seen = []

    def handler(event):
        status = StripeEventConsumption.objects.get().status
        seen.append((StripeEvent.objects.get().pk == event.pk, connection.in_atomic_block, status))
        return Outcome.APPLIED, ""

    consumers.register(name="checkout", event_types=("transfer.created",), handler=handler, inline=True)
    receive(event_body())
    assert seen == [(True, False, "leased")]


def test_a_door_that_died_after_it_stored_the_event_is_followed_by_a_worker(register):
    class Died(BaseException):
        pass

    def die(name):
        if name == "billing.webhook.stored":
            raise Died

    checkout = register("checkout", inline=True)
    with failpoints.watched(die), pytest.raises(Died):
        receive(event_body())
    assert (StripeEventConsumption.objects.get().status, checkout.seen) == ("leased", [])
    with clock.freeze(clock.now() + consumption.LEASE + dt.timedelta(seconds=1)):
        assert consume_due(owner="w", limit=10, budget_seconds=30) == 1
    done = StripeEventConsumption.objects.get()
    assert (done.status, done.attempts, checkout.seen) == ("done", 2, ["evt_1"])


def test_t106_parallel_deliveries_run_an_inline_consumer_once(register):
    seen = []

    def handler(event):
        time.sleep(0.05)
        seen.append(event.provider_event_id)
        return Outcome.APPLIED, ""

    consumers.register(name="checkout", event_types=("transfer.created",), handler=handler, inline=True)
    for round_number in range(5):
        results = at_once(receive, [event_body(f"evt_{round_number}")] * THREADS)
        assert sorted(results) == ["duplicate"] * (THREADS - 1) + ["stored"]
    assert sorted(seen) == [f"evt_{number}" for number in range(5)]
    assert set(StripeEventConsumption.objects.values_list("status", "attempts")) == {("done", 1)}
