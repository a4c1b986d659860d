"""Races with real connections: one cap, one key, one stop; threads because a lock is what is tested."""

import datetime as dt
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

ROUNDS = 200


def outcome_of(verb):
    from settld.core.errors import Refusal

    try:
        return verb()
    except Refusal as refusal:
        return refusal.code


@pytest.fixture
def pair():
    """Run two acts at once, each on a connection of its own that lives for the whole test."""
    from django.db import connections

    from settld.core import tenancy
    from tests.support.factories import TENANT

    with ThreadPoolExecutor(max_workers=2) as pool:

        def together(*acts):
            gate = threading.Barrier(len(acts))

            def run(act):
                with tenancy.tenant_scope(TENANT):
                    gate.wait()
                    return outcome_of(act)

            return [future.result(30) for future in [pool.submit(run, act) for act in acts]]

        yield together
        gate = threading.Barrier(2)

        def hang_up():
            gate.wait()
            connections.close_all()

        for future in [pool.submit(hang_up) for _ in range(2)]:
            future.result(10)


def enqueuing(world, party_id, *, now=None, **more):
    from moneyrails.services import enqueue

    def act():
        return enqueue.enqueue(
            tenant_id=world.TENANT, party_id=party_id, period="2026-01", provider_id="", counterparty_ref="",
            actor=world.ACTOR, now=now or world.NOW, **more,
        ).operation  # fmt: skip

    return act


@pytest.mark.slow
def test_of_two_enqueues_that_fit_only_singly_exactly_one_passes(live_world, pair):
    from moneyrails.models import Operation
    from moneyrails.services import exposure

    live_world.set_controls(dailyPayoutLimitCents=15_000)
    for number in range(ROUNDS):
        live_world.closed(f"a{number}")
        live_world.closed(f"b{number}")
    ends = Counter()
    for number in range(ROUNDS):
        day = live_world.NOW + dt.timedelta(days=number)
        first, second = pair(
            enqueuing(live_world, f"a{number}", now=day), enqueuing(live_world, f"b{number}", now=day)
        )
        ends[tuple(sorted("made" if isinstance(end, Operation) else end for end in (first, second)))] += 1

    assert ends == {("PAYOUT_DAILY_LIMIT_EXCEEDED", "made"): ROUNDS}
    assert Operation.objects.count() == ROUNDS
    assert exposure.check(tenant_id=live_world.TENANT) == []


def test_two_enqueues_of_one_payout_key_give_one_operation(live_world, pair):
    from moneyrails.models import Operation
    from moneyrails.services import exposure

    for number in range(20):
        live_world.closed(f"party{number}")
        act = enqueuing(live_world, f"party{number}")
        first, second = pair(act, act)
        assert first == second
        assert isinstance(first, Operation)
    assert Operation.objects.count() == 20
    assert exposure.check(tenant_id=live_world.TENANT) == []


def test_an_enqueue_and_an_event_that_calls_off_another_keep_the_counter_true(live_world, pair):
    from moneyrails.services import exposure

    for number in range(10):
        operation = live_world.enqueued(f"old{number}")
        live_world.closed(f"new{number}")
        pair(lambda: live_world.told(operation, "failed"), enqueuing(live_world, f"new{number}"))  # noqa: B023
    assert exposure.check(tenant_id=live_world.TENANT) == []
    held = exposure.current(tenant_id=live_world.TENANT, provider_mode="sandbox", day_key="2026-03-10")
    assert held == 100_000


def test_a_stop_waits_for_what_is_on_its_way_and_stops_all_that_follows(live_world, pair):
    from moneyrails.models import Operation
    from settld.core import transactions

    live_world.set_controls()
    live_world.closed("early")
    live_world.closed("late")
    early_is_written = threading.Event()
    moments = []

    def early():
        with transactions.atomic():
            enqueuing(live_world, "early")()
            early_is_written.set()
            threading.Event().wait(0.3)
            moments.append("early commits")

    def stop():
        early_is_written.wait(10)
        live_world.set_controls(payoutKillSwitch=True)
        moments.append("stop is answered")

    pair(early, stop)
    assert moments == ["early commits", "stop is answered"]
    assert outcome_of(enqueuing(live_world, "late")) == "PAYOUT_KILL_SWITCH_ACTIVE"
    assert Operation.objects.count() == 1


def test_no_cent_of_a_debt_is_recovered_twice(live_world, pair):
    from moneyrails.models import ChargebackEntry, PartyBalance
    from moneyrails.services import checks

    live_world.walked(live_world.enqueued("p", "2025-12", 15_000), "submitted", "confirmed", "reversed")
    live_world.set_controls(chargebacks={"enabled": True, "negativeBalanceMode": "net"})
    live_world.closed("p", "2026-01")
    live_world.closed("p", "2026-02")

    def paying(period):
        from moneyrails.services import enqueue

        return lambda: enqueue.enqueue(
            tenant_id=live_world.TENANT, party_id="p", period=period, provider_id="", counterparty_ref="",
            actor=live_world.ACTOR, now=live_world.NOW,
        )  # fmt: skip

    first, second = pair(paying("2026-01"), paying("2026-02"))
    assert sorted([first.is_offset, second.is_offset]) == [False, True]
    recovered = sum(ChargebackEntry.objects.filter(kind="recovery").values_list("amount_cents", flat=True))
    assert (recovered, PartyBalance.objects.get().outstanding_cents) == (15_000, 0)
    assert checks.check_tenant(live_world.TENANT) == []


def test_a_request_with_our_own_key_waits_for_the_first_and_replays_it(live_world, settings):
    import dataclasses

    from django.db import connections

    from moneyrails.services import submission
    from moneyrails.services.replies import Replayed
    from settld.core import tenancy
    from settld.idempotency.services import records

    settings.STRIPE = dataclasses.replace(settings.STRIPE, secret_key="sk_test_rails")
    operation = live_world.real_payout()
    identity = records.identity(
        tenant_id=live_world.TENANT, principal_id="p", method="POST", path="/submit", key="k", body={}
    )

    class Remembering:
        identity_hash = identity.hash

        def recall(self):
            reply = records.claim(identity)
            if reply is not None:
                raise Replayed(reply)

        def keep(self, result):
            records.store(identity, status=200, body=result.operation.provider_ref, now=live_world.NOW)

    rail = live_world.RecordingRail()
    plain, at_provider, ends = rail.create_transfer, threading.Event(), {}

    def slow(order):
        at_provider.set()
        threading.Event().wait(0.5)
        return plain(order)

    rail.create_transfer = slow

    def run(name):
        try:
            with tenancy.tenant_scope(live_world.TENANT):
                done = submission.submit(
                    **live_world.key_of(operation), actor=live_world.ACTOR, now=live_world.NOW,
                    memory=Remembering(), rail=rail,
                )  # fmt: skip
                ends[name] = done.operation.provider_ref
        except Replayed as replayed:
            ends[name] = f"replayed {replayed.reply.body}"
        finally:
            connections.close_all()

    first = threading.Thread(target=run, args=("first",))
    first.start()
    assert at_provider.wait(10)
    second = threading.Thread(target=run, args=("second",))
    second.start()
    first.join(20)
    second.join(20)
    assert ends["second"] == f"replayed {ends['first']}"
    assert len(rail.keys) == 1


def test_a_lock_that_does_not_come_is_told_from_other_faults(live_world):
    from django.db import OperationalError, connection, connections, transaction
    from psycopg.errors import LockNotAvailable

    from settld.core import tenancy

    live_world.set_controls()
    live_world.closed("p")
    locked, release = threading.Event(), threading.Event()

    def hold():
        from moneyrails.queries import payout_facts

        with tenancy.tenant_scope(live_world.TENANT), transaction.atomic():
            payout_facts.lock_controls(tenant_id=live_world.TENANT, now=live_world.NOW, exclusively=True)
            locked.set()
            release.wait(10)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    assert locked.wait(10)
    with pytest.raises(OperationalError) as caught, transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '100ms'")
        enqueuing(live_world, "p")()
    release.set()
    holder.join(10)
    assert isinstance(caught.value.__cause__, LockNotAvailable)
    assert enqueuing(live_world, "p")().state == "initiated"  # the connection is as good as before


def test_a_change_of_the_controls_is_not_held_off_by_payouts_that_keep_coming(live_world):
    """Ruling 18: who sends after a change was asked for waits for it (row locks alone let them pass)."""
    import time

    from django.db import OperationalError, connection, connections, transaction

    from moneyrails.queries import payout_facts
    from settld.core import tenancy

    live_world.set_controls()
    live_world.closed("p")
    changed = threading.Event()

    def change():
        with tenancy.tenant_scope(live_world.TENANT):
            live_world.set_controls(payoutKillSwitch=True)
        changed.set()
        connections.close_all()

    def wait_until_it_queues():
        while True:
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
                if cursor.fetchone()[0]:
                    return
            time.sleep(0.01)

    def send_meanwhile():
        with tenancy.tenant_scope(live_world.TENANT):
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout = '100ms'")
                    return outcome_of(enqueuing(live_world, "p"))
            except OperationalError:
                return "waited"
            finally:
                connections.close_all()

    with ThreadPoolExecutor(max_workers=2) as pool:
        with transaction.atomic():
            payout_facts.lock_controls(tenant_id=live_world.TENANT, now=live_world.NOW)
            changing = pool.submit(change)
            wait_until_it_queues()
            assert pool.submit(send_meanwhile).result(10) == "waited"
            assert not changed.is_set()
        changing.result(10)
    assert outcome_of(enqueuing(live_world, "p")) == "PAYOUT_KILL_SWITCH_ACTIVE"
