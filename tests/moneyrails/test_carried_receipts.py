"""What a closed month could not pay itself is paid through a later month's carry, receipt by receipt.

finance spec 5.3 with kernel spec 13.2 and 13.4: a carry is money for settled work, so the windows and
disputes of that work hold for it, and each receipt is given to one payout.
"""

import datetime as dt

import pytest

from moneyrails.models import Operation
from moneyrails.services import enqueue
from settld.closing.services import worker
from settld.core import clock
from settld.kernel.models import PayoutAllocation
from settld.kernel.services.payables import ReferenceBlocked
from tests.kernel import paying, work
from tests.kernel.work import PAYEE, TENANT
from tests.support import factories
from tests.support.api import body
from tests.support.factories import ACTOR

FEB, MAR = "2026-02", "2026-03"
PARTY = f"pty_operator:{PAYEE}"


def instant(day):
    return dt.datetime.fromisoformat(f"2026-{day}T12:00:00+00:00")


@pytest.fixture
def world(db, _providers, api):
    with clock.freeze(instant("02-01")), paying.scope():
        work.parties()
    with paying.scope():
        yield World(api)
        paying.require_whole()


class World:
    """One payee's months, with the clock set for each act."""

    def __init__(self, api):
        self.api, self.runs = api, work.Runs(api)

    def earn(self, run_id, cents, *, on, window_days=0):
        with clock.freeze(instant(on)):
            self.runs.settled(run_id, cents=cents, window_days=window_days)

    def close(self, month, *, on):
        with clock.freeze(instant(on)):
            assert self.api.post("/ops/month-close", {"month": month}).status_code == 202
            worker.close_requested(tenant_id=TENANT)
        found = body(self.api.get(f"/ops/party-statements/{PARTY}/{month}"))["statement"]
        return found["payoutCents"], found["payableCarryInCents"], found["payableCarryOutCents"]

    def reopen(self, month, *, on):
        with clock.freeze(instant(on)):
            answer = self.api.post("/ops/month-close/reopen", {"month": month, "reason": "late work"})
            assert answer.status_code == 201

    def pay(self, month, *, on) -> Operation:
        with clock.freeze(instant(on)):
            given = {"party_id": PARTY, "provider_id": "", "counterparty_ref": "", "actor": ACTOR}
            return enqueue.enqueue(tenant_id=TENANT, period=month, now=clock.now(), **given).operation

    def tell(self, operation, *events, on):
        with clock.freeze(instant(on)):
            return factories.walked(operation, *events)

    def payable(self, *, on):
        answer = body(self.api.get(f"/ops/kernel/payables?agentId={PAYEE}&asOf=2026-{on}T12:00:00Z"))
        return {item["runId"]: item["amountCents"] for item in answer["items"]}

    def late_work(self, *, window_days=0):
        """February is paid, opened again for a second run, and closed again: 200 are carried on."""
        self.earn("run_1", 1000, on="02-10")
        assert self.close(FEB, on="03-01") == (1000, 0, 0)
        first = self.pay(FEB, on="03-02")
        self.reopen(FEB, on="03-03")
        self.earn("run_2", 200, on="02-27", window_days=window_days)
        assert self.close(FEB, on="03-04") == (0, 0, 200)
        return first


def rests_on(operation):
    rows = PayoutAllocation.objects.filter(tenant_id=TENANT, operation_id=operation.operation_id)
    return sorted((row.ref_kind, row.amount_cents) for row in rows if row.released_at is None)


def test_a_receipt_that_came_after_the_payout_is_given_to_the_payout_that_pays_it(world):
    world.late_work()
    world.earn("run_3", 500, on="03-10")
    assert world.close(MAR, on="04-01") == (700, 200, 0)
    assert world.payable(on="04-01")["run_2"] == 200

    later = world.pay(MAR, on="04-02")

    assert rests_on(later) == [("settlement_receipt", 200), ("settlement_receipt", 500)]
    world.tell(later, "submitted", "confirmed", on="04-03")
    assert world.payable(on="04-04") == {"run_1": 1000}  # under way still; nothing else is owed


def test_a_carry_is_not_paid_before_the_window_of_the_work_behind_it_is_over(world):
    world.late_work(window_days=60)
    world.earn("run_3", 500, on="03-10")
    world.close(MAR, on="04-01")

    with pytest.raises(ReferenceBlocked) as refused:
        world.pay(MAR, on="04-02")

    assert [one["blockedReason"] for one in refused.value.details["blocked"]] == ["challenge_window_open"]
    assert Operation.objects.filter(period=MAR).count() == 0
    assert world.pay(MAR, on="04-29").amount_cents == 700


def test_a_month_closed_again_after_its_payout_failed_leaves_out_what_a_later_month_has_paid(world):
    first = world.late_work()
    world.earn("run_3", 500, on="03-10")
    world.close(MAR, on="04-01")
    world.pay(MAR, on="04-02")
    world.tell(first, "failed", on="04-03")
    world.reopen(FEB, on="04-04")
    assert world.close(FEB, on="04-05") == (1000, -200, 0)

    again = world.pay(FEB, on="04-06")

    assert rests_on(again) == [("settlement_receipt", 1000)]
    assert paying.available() == 0
    assert world.payable(on="04-07") == {"run_1": 1000, "run_2": 200, "run_3": 500}  # all under way


def test_a_receipt_of_a_month_that_is_reopened_is_not_paid_by_a_second_payout(world):
    world.late_work()
    world.earn("run_3", 500, on="03-10")
    world.close(MAR, on="04-01")
    world.pay(MAR, on="04-02")
    world.reopen(FEB, on="04-04")
    assert world.close(FEB, on="04-05") == (0, -200, 0)  # 1200 earned, 1000 and 200 paid
    assert world.pay(FEB, on="04-06") is None
