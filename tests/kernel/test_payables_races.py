"""Payouts and disputes that meet, on real connections; and a process that dies inside (kernel spec 13.4)."""

import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

from moneyrails.models import Operation
from moneyrails.services import enqueue
from settld.core import clock, failpoints, tenancy, transactions
from settld.core.errors import Refusal
from settld.kernel.models import PayoutAllocation, PayoutReservation, Settlement
from settld.kernel.services import disputes, payables
from tests.kernel import paying, work
from tests.kernel.work import NOW, PAYEE, PAYER, TENANT
from tests.support import factories

LATER = NOW + dt.timedelta(days=30)


@pytest.fixture
def scoped(live_runs, settings):
    settings.MONEY_RAILS = factories.rails()
    with paying.scope():
        yield live_runs
        paying.require_whole()


@pytest.fixture
def rival():
    """Run something on another connection, and wait until it waits for a lock."""
    with ThreadPoolExecutor(max_workers=1) as pool:

        def run(act):
            with tenancy.tenant_scope(TENANT), clock.freeze(NOW):
                try:
                    return act()
                except Refusal as refusal:
                    return refusal
                finally:
                    connections.close_all()

        def start(act):
            future = pool.submit(run, act)
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline and not future.done():
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT count(*) FROM pg_locks"
                        " WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
                    )
                    if cursor.fetchone()[0]:
                        return future
                time.sleep(0.005)
            raise AssertionError("nobody waited for a lock")

        yield start


def test_of_two_payouts_over_one_receipt_the_second_waits_and_is_refused(scoped, rival):
    scoped.settled(window_days=0)
    ref = paying.ref_to()
    with transactions.atomic():
        assert paying.reserve(ref, operation_id="mop_one").is_new
        second = rival(lambda: paying.reserve(ref, operation_id="mop_two"))
    refusal = second.result(10)

    assert (refusal.code, refusal.details["blocked"][0]["blockedReason"]) == (
        "PAYOUT_REFERENCE_BLOCKED", "already_allocated",
    )  # fmt: skip
    assert list(PayoutAllocation.objects.values_list("operation_id", flat=True)) == ["mop_one"]


def test_a_dispute_that_comes_first_is_seen_by_the_payout_that_waited_for_it(scoped, rival):
    scoped.settled(window_days=7)
    ref = paying.ref_to()
    with transactions.atomic():
        assert scoped.dispute("open").status_code == 200  # joins: the settlement is locked until we commit
        payout = rival(lambda: paying.reserve(ref, now=LATER))
    assert payout.result(10).details["blocked"][0]["blockedReason"] == "dispute_open"
    assert not PayoutReservation.objects.exists()


def test_a_dispute_that_comes_second_waits_for_the_payout(scoped, rival):
    scoped.settled(window_days=7)

    def open_dispute():
        with transactions.atomic():
            return disputes.lock_resolved(tenant_id=TENANT, run_id="run_1").row.dispute_status

    with transactions.atomic():
        assert paying.reserve(paying.ref_to(), now=LATER).is_new
        second = rival(open_dispute)
        assert not second.done()
    assert second.result(10) == "none"
    assert Settlement.objects.get(run_id="run_1").dispute_status == "none"


def test_two_enqueues_of_one_statement_reserve_once(scoped, rival):
    scoped.settled(window_days=0)
    paying.derived(paying.ref_to())

    def pay():
        return enqueue.enqueue(
            tenant_id=TENANT, party_id=paying.PARTY, period="2026-02", provider_id="", counterparty_ref="",
            actor=work.ACTOR, now=NOW,
        ).operation  # fmt: skip

    with transactions.atomic():
        first = pay()
        second = rival(pay)
    assert second.result(10) == first
    assert (Operation.objects.count(), PayoutReservation.objects.count()) == (1, 1)
    assert paying.available() == 0


def test_payouts_of_one_payee_and_money_for_it_never_wait_in_a_circle(scoped):
    """Settling locks settlement and wallets; paying locks settlements and then the wallet: one order."""
    for number in range(4):
        scoped.settled(f"run_{number}", window_days=0, cents=100)
    listed = [paying.ref_to(f"run_{number}") for number in range(4)]

    def paid(number):
        with tenancy.tenant_scope(TENANT), clock.freeze(NOW):
            try:
                paying.reserve(listed[number], operation_id=f"mop_{number}")
                work.money(PAYER if number % 2 else PAYEE, 10)
                verb = (payables.commit, payables.release)[number % 2]
                return str(verb(**paying.named(f"mop_{number}")).state)
            finally:
                connections.close_all()

    with ThreadPoolExecutor(max_workers=4) as pool:
        assert list(pool.map(paid, range(4))) == ["committed", "released"] * 2
    assert paying.available() == 220


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("point", ["reserve", "commit", "release", "return"])
def test_a_death_before_the_commit_leaves_nothing_and_the_next_try_does_it(scoped, point):
    scoped.settled(window_days=0)
    verbs = {"commit": payables.commit, "release": payables.release, "return": payables.return_}
    before = {"commit": ["reserve"], "release": ["reserve"], "return": ["reserve", "commit"]}.get(point, [])

    def do(verb):
        if verb == "reserve":
            return paying.reserve(paying.ref_to(), recovery_cents=400)
        return verbs[verb](**paying.named())

    def die(name):
        if name == f"kernel.payables.{point}.before_commit":
            raise Killed

    for verb in before:
        do(verb)
    seen = (paying.available(), paying.cash(), paying.clearing(), paying.given())
    with failpoints.watched(die), pytest.raises(Killed):
        do(point)
    assert (paying.available(), paying.cash(), paying.clearing(), paying.given()) == seen
    paying.require_whole()
    do(point)
    assert (paying.available(), paying.cash(), paying.clearing(), paying.given()) != seen
