"""Approvals against each other, against other changes, against payouts: real connections, one lock order."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from settld.core.principals import Actor

ANNA, BEN, CAT = Actor("person:1"), Actor("person:2"), Actor("person:3")
ROUNDS = 15
pytestmark = pytest.mark.slow


@pytest.fixture
def together():
    """Run acts at once, each on its own connection; gives what each answered, or its refusal's code."""
    from django.db import connection

    from settld.core import tenancy
    from settld.core.errors import Refusal
    from tests.support.factories import TENANT

    def run(*acts):
        gate = threading.Barrier(len(acts))

        def one(act):
            try:
                with tenancy.tenant_scope(TENANT):
                    gate.wait()
                    return act()
            except Refusal as refusal:
                return refusal.code
            finally:
                connection.close()

        with ThreadPoolExecutor(max_workers=len(acts)) as pool:
            return [future.result(30) for future in [pool.submit(one, act) for act in acts]]

    return run


def put(world, actor=ANNA, **rails):
    from billing.plans.services import plan
    from billing.plans.services.plan_request import read_change

    change = read_change({"moneyRails": {"fourEyes": True, **rails}})
    return plan.replace(tenant_id=world.TENANT, change=change, actor=actor, now=world.NOW)


def approving(world, approval, actor=BEN):
    from moneyrails.services import approvals

    def act():
        return approvals.approve(
            tenant_id=world.TENANT, approval_id=str(approval.pk), reason="x", actor=actor, now=world.NOW
        ).status

    return act


def controls(world):
    from moneyrails.services import controls as rails

    return rails.get(tenant_id=world.TENANT)


def audits(action):
    from settld.audit.models import OpsAudit

    return OpsAudit.objects.filter(action=action).count()


def test_of_two_approvers_one_approves_and_the_change_is_made_once(live_world, together):
    world = live_world
    for number in range(1, ROUNDS + 1):
        put(world, maxPayoutAmountCents=500)
        asked = put(world, maxPayoutAmountCents=500 + number).approval
        made = audits("BILLING_PLAN_UPSERT")
        ends = together(approving(world, asked, BEN), approving(world, asked, CAT))
        assert sorted(ends) == ["APPROVAL_NOT_PENDING", "approved"]
        assert audits("BILLING_PLAN_UPSERT") == made + 1
        assert controls(world).max_payout_amount_cents == 500 + number


def test_of_two_approvals_of_one_base_only_one_is_applied(live_world, together):
    world = live_world
    for _ in range(ROUNDS):
        put(world, maxPayoutAmountCents=500, dailyPayoutLimitCents=500)
        cap = put(world, maxPayoutAmountCents=900, dailyPayoutLimitCents=500).approval
        day = put(world, maxPayoutAmountCents=500, dailyPayoutLimitCents=900).approval
        ends = together(approving(world, cap), approving(world, day))
        assert sorted(ends) == ["APPROVAL_NOT_PENDING", "approved"]
        row = controls(world)
        assert sorted([row.max_payout_amount_cents, row.daily_payout_limit_cents]) == [500, 900]


def test_an_approval_against_a_tightening_put_never_undoes_it(live_world, together):
    world = live_world
    seen = Counter()
    for cap in range(1000, 1000 - ROUNDS * 10, -10):
        put(world, maxPayoutAmountCents=cap)
        asked = put(world, maxPayoutAmountCents=5_000).approval
        ends = together(
            approving(world, asked), lambda cap=cap: put(world, CAT, maxPayoutAmountCents=cap - 1) and "put"
        )  # fmt: skip
        assert ends[1] == "put"
        assert controls(world).max_payout_amount_cents == cap - 1  # after the approval or instead of it
        seen[ends[0]] += 1
    assert set(seen) <= {"approved", "APPROVAL_NOT_PENDING"}


def test_a_stop_against_an_approval_always_stands(live_world, together):
    from moneyrails.services import stops

    world = live_world

    def stop():
        stops.stop(tenant_id=world.TENANT, reason="now", expires_at=None, actor=CAT, now=world.NOW)
        return "stopped"

    for _ in range(ROUNDS):
        put(world, maxPayoutAmountCents=500)
        asked = put(world, maxPayoutAmountCents=900).approval
        ends = together(approving(world, asked), stop)
        assert ends[1] == "stopped"
        assert ends[0] in ("approved", "APPROVAL_NOT_PENDING")
        row = controls(world)
        assert row.payout_kill_switch
        assert row.kill_switch_reason == "now"
        assert row.max_payout_amount_cents == (900 if ends[0] == "approved" else 500)
        lifted = stops.lift(tenant_id=world.TENANT, reason="next", actor=ANNA, now=world.NOW)
        approving(world, lifted)()


def test_payouts_beside_an_approval_keep_the_limit_that_holds_when_they_commit(live_world, together):
    """An enqueue under the old limit commits before the approval, or meets the new one: never beyond it."""
    from moneyrails.models import ExposureCounter, Operation
    from moneyrails.services import enqueue, exposure

    world = live_world
    for number in range(12):
        world.closed(f"p{number}")

    def enqueueing(number):
        return lambda: (
            enqueue.enqueue(
                tenant_id=world.TENANT, party_id=f"p{number}", period="2026-01", provider_id="",
                counterparty_ref="", actor=world.ACTOR, now=world.NOW,
            )
            and "made"
        )  # fmt: skip

    put(world, dailyPayoutLimitCents=15_000)
    asked = put(world, dailyPayoutLimitCents=35_000).approval
    ends = together(approving(world, asked), *[enqueueing(number) for number in range(6)])
    assert ends[0] == "approved"
    assert set(ends[1:]) <= {"made", "PAYOUT_DAILY_LIMIT_EXCEEDED"}
    held = ExposureCounter.objects.get(tenant_id=world.TENANT).amount_cents
    assert held <= 35_000
    assert held == 10_000 * Operation.objects.count() == 10_000 * ends.count("made")
    assert exposure.check(tenant_id=world.TENANT) == []

    together(*[enqueueing(number) for number in range(6, 12)])  # the new limit is exact
    assert ExposureCounter.objects.get(tenant_id=world.TENANT).amount_cents == 30_000


def test_the_same_change_asked_twice_at_once_waits_once(live_world, together):
    from moneyrails.models import Approval

    world = live_world
    put(world, maxPayoutAmountCents=500)
    ends = together(*[lambda: put(world, maxPayoutAmountCents=900).approval.pk for _ in range(4)])
    assert len(set(ends)) == 1
    assert Approval.objects.count() == 1


def test_an_expiry_beside_an_approval_leaves_one_end(live_world, together):
    from moneyrails.models import Approval
    from moneyrails.services import approvals

    world = live_world
    for _ in range(ROUNDS):
        put(world, maxPayoutAmountCents=500)
        asked = put(world, maxPayoutAmountCents=900).approval
        ends = together(approving(world, asked), lambda end=asked.expires_at: approvals.expire_due(now=end))
        status = Approval.objects.get(pk=asked.pk).status
        assert (ends[0], ends[1], status) in [
            ("approved", 0, "approved"), ("APPROVAL_NOT_PENDING", 1, "expired"),
        ]  # fmt: skip
        assert controls(world).max_payout_amount_cents == (900 if status == "approved" else 500)
