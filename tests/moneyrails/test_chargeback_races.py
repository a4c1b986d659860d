"""Two acts on one debt, each on a connection of its own, made to meet at the party's balance (spec 4.5)."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

NET = {"enabled": True, "negativeBalanceMode": "net"}


@pytest.fixture
def owing(live_world):
    """A party that owes 10,000 cents, two closed statements of 8,000, and a policy that nets."""
    operation = live_world.walked(
        live_world.enqueued("p", "2025-12", 10_000), "submitted", "confirmed", "reversed"
    )
    live_world.set_controls(chargebacks=NET)
    live_world.closed("p", "2026-01", 8_000)
    live_world.closed("p", "2026-02", 8_000)
    return operation


@pytest.fixture
def meet():
    """Let the first act do all but commit, until the second waits for it; gives what both came to."""
    with ThreadPoolExecutor(max_workers=1) as pool:

        def run(first, second):
            from settld.core import transactions

            with transactions.atomic():
                done = first()
                waiting = pool.submit(in_tenant, second)
                wait_for(1)
            return done, waiting.result(30)

        yield run


def in_tenant(act):
    from django.db import connections

    from settld.core import tenancy
    from settld.core.errors import Refusal
    from tests.support.factories import TENANT

    try:
        with tenancy.tenant_scope(TENANT):
            return act()
    except Refusal as refusal:
        return refusal.code
    finally:
        connections.close_all()


def wait_for(count):
    """Wait until so many sessions of this database stand at a lock."""
    from django.db import connection

    query = """SELECT count(*) FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(query)
            if cursor.fetchone()[0] >= count:
                return
        time.sleep(0.01)
    raise AssertionError(f"{count} acts never came to wait for the balance")


def paying(world, period):
    from moneyrails.services import enqueue

    return lambda: enqueue.enqueue(
        tenant_id=world.TENANT, party_id="p", period=period, provider_id="", counterparty_ref="",
        actor=world.ACTOR, now=world.NOW,
    )  # fmt: skip


def adjusting(world, operation, cents):
    from moneyrails.services import adjustments

    return lambda: adjustments.adjust(
        tenant_id=world.TENANT, party_id="p", operation_id=operation.operation_id, amount_cents=cents,
        reason_code="tests", actor=world.ACTOR, now=world.NOW,
    )  # fmt: skip


def is_proven(world, *, owed):
    from moneyrails.models import PartyBalance
    from moneyrails.services import checks

    assert checks.check_tenant(world.TENANT) == []
    assert PartyBalance.objects.get().outstanding_cents == owed


def test_two_enqueues_against_one_debt_never_recover_a_cent_twice(live_world, owing, meet):
    first, second = meet(paying(live_world, "2026-01"), paying(live_world, "2026-02"))
    assert first.is_offset
    assert first.chargeback["recoveryAppliedCents"] == 8_000
    assert second.operation.amount_cents == 6_000
    assert second.chargeback["outstandingBeforeCents"] == 2_000
    is_proven(live_world, owed=0)


def test_an_enqueue_that_waits_for_a_reversal_nets_it_too(live_world, owing, meet):
    later = live_world.enqueued("p", "2026-03", 20_000)  # repays the 10,000 and pays out as many
    live_world.walked(later, "submitted", "confirmed")
    reverse = lambda: live_world.told(later, "reversed", event_id="evt_back")  # noqa: E731
    taken, paid = meet(reverse, paying(live_world, "2026-01"))
    assert taken.applied
    assert paid.is_offset
    assert paid.chargeback["outstandingBeforeCents"] == 20_000
    is_proven(live_world, owed=12_000)


def test_a_reversal_that_waits_for_an_enqueue_is_owed_after_it(live_world, owing, meet):
    later = live_world.walked(live_world.enqueued("p", "2026-03", 20_000), "submitted", "confirmed")
    reverse = lambda: live_world.told(later, "reversed", event_id="evt_back")  # noqa: E731
    paid, taken = meet(paying(live_world, "2026-01"), reverse)
    assert taken.applied
    assert paid.operation.amount_cents == 8_000
    is_proven(live_world, owed=20_000)


def test_of_two_adjustments_that_fit_only_singly_one_is_refused(live_world, owing, meet):
    first, second = meet(adjusting(live_world, owing, 6_000), adjusting(live_world, owing, 6_000))
    assert first.outstanding_after_cents == 4_000
    assert second == "CHARGEBACK_ADJUSTMENT_EXCEEDS_OUTSTANDING"
    is_proven(live_world, owed=4_000)


def test_an_adjustment_that_waits_for_a_recovery_finds_less_open(live_world, owing, meet):
    paid, adjusted = meet(paying(live_world, "2026-01"), adjusting(live_world, owing, 2_001))
    assert paid.is_offset
    assert adjusted == "CHARGEBACK_ADJUSTMENT_EXCEEDS_OUTSTANDING"
    is_proven(live_world, owed=2_000)


def test_a_cancel_that_waits_for_an_enqueue_releases_what_that_one_may_not_have(live_world, owing, meet):
    from moneyrails.services import cancellation

    netted = live_world.enqueued("p", "2026-03", 11_000)

    def cancel():
        return cancellation.cancel(**live_world.key_of(netted), actor=live_world.ACTOR, now=live_world.NOW)

    paid, cancelled = meet(paying(live_world, "2026-01"), cancel)
    assert paid.operation.amount_cents == 8_000
    assert cancelled.applied
    is_proven(live_world, owed=10_000)


def test_raw_writers_of_one_reversal_are_lined_up_by_the_database_itself(live_world, owing):
    """Without any lock of ours: the second waits inside its trigger, then sees what the first repaid."""
    from django.db import IntegrityError, connection, transaction

    from moneyrails.models import ChargebackEntry
    from tests.moneyrails.test_chargeback_ledger import insert

    reversal = ChargebackEntry.objects.get(kind="reversal")
    problems = []

    def second():
        try:
            insert(reversal, "adjustment", amount_cents=6_000)
        except IntegrityError as error:
            problems.append(str(error))

    with transaction.atomic():
        insert(reversal, "adjustment", amount_cents=6_000)
        thread = threading.Thread(target=in_tenant, args=(second,))
        thread.start()
        wait_for(1)
    thread.join(20)
    assert len(problems) == 1
    assert connection.is_usable()
    is_proven(live_world, owed=4_000)


@pytest.mark.slow
def test_many_random_acts_at_once_leave_a_ledger_that_adds_up(live_world):
    """No order is arranged: whatever interleaving comes, the proof holds and nobody deadlocks."""
    import random

    from moneyrails.models import ChargebackEntry, Operation
    from moneyrails.services import cancellation, checks
    from settld.core.errors import Conflict

    live_world.set_controls(chargebacks=NET)
    first = live_world.walked(
        live_world.enqueued("p", "2019-01", 5_000), "submitted", "confirmed", "reversed"
    )
    periods = [f"{year}-{month:02d}" for year in range(2020, 2026) for month in range(1, 13)]
    for period in periods:
        live_world.closed("p", period, 9_000 if period.endswith(("2", "5", "8")) else 2_000)

    def worker(number):
        chance = random.Random(number)
        for period in periods[number::3]:
            try:
                done = paying(live_world, period)()
                operation = done.operation or first
                for event in ("submitted", "confirmed", "reversed")[: chance.randint(0, 3)]:
                    live_world.told(operation, event, event_id=f"evt_{number}_{period}_{event}")
                if chance.random() < 0.3:
                    cancellation.cancel(
                        **live_world.key_of(operation), actor=live_world.ACTOR, now=live_world.NOW
                    )
                taken = Operation.objects.filter(state="reversed").order_by("?").first()
                adjusting(live_world, taken, chance.randint(1, 900))()
            except Conflict:
                continue

    with ThreadPoolExecutor(max_workers=3) as pool:
        for future in [pool.submit(in_tenant, lambda number=number: worker(number)) for number in range(3)]:
            future.result(120)

    kinds = set(ChargebackEntry.objects.values_list("kind", flat=True))
    assert kinds >= {"reversal", "recovery", "adjustment"}
    assert checks.check_tenant(live_world.TENANT) == []
