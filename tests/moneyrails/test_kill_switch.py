"""The stop: at once, with a reason and perhaps an expiry; lifted by two; an expired one still stops."""

import datetime as dt

import pytest

from settld.core.errors import Refusal
from settld.core.principals import Actor
from tests.support.api import body, refusal

STOP, LIFT = "/ops/money-rails/kill-switch", "/ops/money-rails/kill-switch/lift"
ANNA, BEN = Actor("person:1"), Actor("person:2")


def stop(world, **more):
    from moneyrails.services import stops

    given = {"reason": "odd transfers", "expires_at": None, "actor": ANNA, "now": world.NOW} | more
    return stops.stop(tenant_id=world.TENANT, **given)


def enqueue(world, party="party1", now=None):
    from moneyrails.services import enqueue as enqueueing

    return enqueueing.enqueue(
        tenant_id=world.TENANT, party_id=party, period="2026-01", provider_id="", counterparty_ref="",
        actor=world.ACTOR, now=now or world.NOW,
    )  # fmt: skip


def test_a_stop_changes_nothing_else_and_says_who_why_and_until_when(world):
    from moneyrails.services import controls

    world.set_controls(maxPayoutAmountCents=5, fourEyes=True)
    stop(world, expires_at=world.NOW + dt.timedelta(hours=1))

    shown = controls.as_json(controls.get(tenant_id=world.TENANT))
    assert (shown["payoutKillSwitch"], shown["maxPayoutAmountCents"], shown["fourEyes"]) == (True, 5, True)
    assert shown["payoutKillSwitchReason"] == "odd transfers"
    assert shown["payoutKillSwitchSetBy"] == "person:1"
    assert shown["payoutKillSwitchSetAt"] == "2026-03-10T12:00:00.000Z"
    assert shown["payoutKillSwitchExpiresAt"] == "2026-03-10T13:00:00.000Z"


def test_the_reason_is_told_wherever_a_payout_is_refused_by_it(world):
    """A10: at enqueue and at submit, with additive details."""
    from moneyrails.services import submission

    operation = world.enqueued("early")
    world.closed("party1")
    stop(world, expires_at=world.NOW + dt.timedelta(hours=1))

    expected = {
        "providerId": "stub_default", "reason": "odd transfers", "expiresAt": "2026-03-10T13:00:00.000Z",
        "isExpired": False,
    }  # fmt: skip
    for act in (
        lambda: enqueue(world),
        lambda: submission.submit(**world.key_of(operation), actor=world.ACTOR, now=world.NOW),
    ):
        with pytest.raises(Refusal) as caught:
            act()
        assert (caught.value.code, caught.value.details) == ("PAYOUT_KILL_SWITCH_ACTIVE", expected)


def test_an_expired_stop_still_stops_and_says_that_it_expired(world):
    from moneyrails.services import controls

    world.closed("party1")
    stop(world, expires_at=world.NOW + dt.timedelta(minutes=1))
    later = world.NOW + dt.timedelta(minutes=11)

    with pytest.raises(Refusal) as caught:
        enqueue(world, now=later)
    assert caught.value.code == "PAYOUT_KILL_SWITCH_ACTIVE"
    assert caught.value.details["isExpired"] is True
    row = controls.get(tenant_id=world.TENANT)
    assert (row.payout_kill_switch, row.is_stop_overdue(later)) == (True, True)


def test_pressed_again_the_newer_reason_stands_and_extending_keeps_it(world):
    from moneyrails.services import controls, stops

    stop(world)
    stop(world, reason="still odd", actor=BEN)
    until = world.NOW + dt.timedelta(days=1)
    stops.extend(tenant_id=world.TENANT, reason="not done", expires_at=until, actor=ANNA, now=world.NOW)
    row = controls.get(tenant_id=world.TENANT)
    assert (row.kill_switch_reason, row.kill_switch_set_by, row.kill_switch_expires_at) == (
        "still odd", "person:2", until,
    )  # fmt: skip


def test_there_is_nothing_to_lift_or_extend_without_a_stop(world, refused):
    from moneyrails.services import stops

    with refused("PAYOUT_KILL_SWITCH_NOT_ACTIVE"):
        stops.lift(tenant_id=world.TENANT, reason="x", actor=ANNA, now=world.NOW)
    with refused("PAYOUT_KILL_SWITCH_NOT_ACTIVE"):
        stops.extend(tenant_id=world.TENANT, reason="x", expires_at=None, actor=ANNA, now=world.NOW)


def test_one_person_lifts_it_without_four_eyes_and_its_facts_are_gone(world):
    from moneyrails.services import controls, stops
    from settld.audit.models import OpsAudit

    stop(world)
    assert stops.lift(tenant_id=world.TENANT, reason="all clear", actor=ANNA, now=world.NOW) is None
    assert not any(stops.facts(controls.get(tenant_id=world.TENANT)).values())
    row = OpsAudit.objects.get(action="PAYOUT_KILL_SWITCH_LIFTED")
    assert row.details["before"]["controls"]["payoutKillSwitchReason"] == "odd transfers"
    assert row.details["reason"] == "all clear"


def test_with_four_eyes_the_lift_waits_and_a_second_person_lifts(world):
    from moneyrails.services import approvals, controls, stops

    world.set_controls(fourEyes=True)
    stop(world)
    waiting = stops.lift(tenant_id=world.TENANT, reason="all clear", actor=ANNA, now=world.NOW)
    assert controls.get(tenant_id=world.TENANT).payout_kill_switch
    world.set_controls(
        fourEyes=True, payoutKillSwitch=True, maxPayoutAmountCents=5
    )  # another rule: no matter

    approvals.approve(
        tenant_id=world.TENANT, approval_id=str(waiting.pk), reason="agreed", actor=BEN, now=world.NOW
    )  # fmt: skip
    row = controls.get(tenant_id=world.TENANT)
    assert (row.payout_kill_switch, row.max_payout_amount_cents) == (False, 5)


def test_a_lift_that_was_asked_for_one_stop_does_not_lift_the_next(world, refused):
    from moneyrails.services import approvals, stops

    world.set_controls(fourEyes=True)
    stop(world)
    waiting = stops.lift(tenant_id=world.TENANT, reason="all clear", actor=ANNA, now=world.NOW)
    stop(world, reason="something else", actor=BEN, now=world.NOW + dt.timedelta(minutes=1))
    with refused("APPROVAL_NOT_PENDING"):
        approvals.approve(
            tenant_id=world.TENANT, approval_id=str(waiting.pk), reason="x", actor=BEN, now=world.NOW
        )  # fmt: skip


def test_a_stop_ends_a_pending_change_that_would_have_lifted_it(world, refused):
    from billing.plans.services import plan
    from billing.plans.services.plan_request import read_change
    from moneyrails.services import approvals, controls

    world.set_controls(fourEyes=True, maxPayoutAmountCents=5)
    change = read_change({"moneyRails": {"maxPayoutAmountCents": 9}})
    waiting = plan.replace(tenant_id=world.TENANT, change=change, actor=ANNA, now=world.NOW).approval
    stop(world)
    with refused("APPROVAL_NOT_PENDING"):
        approvals.approve(
            tenant_id=world.TENANT, approval_id=str(waiting.pk), reason="x", actor=BEN, now=world.NOW
        )  # fmt: skip
    assert controls.get(tenant_id=world.TENANT).payout_kill_switch


def test_saving_other_controls_keeps_the_reason_and_null_clears_it(world):
    world.set_controls(payoutKillSwitch=True, payoutKillSwitchReason="why")
    kept = world.set_controls(payoutKillSwitch=True, dailyPayoutLimitCents=5)
    assert kept.kill_switch_reason == "why"
    cleared = world.set_controls(payoutKillSwitch=True, payoutKillSwitchReason=None)
    assert cleared.kill_switch_reason == ""
    off = world.set_controls(payoutKillSwitchReason="why")  # a reason without a stop is nobody's
    assert (off.payout_kill_switch, off.kill_switch_reason) == (False, "")


def test_the_routes_stop_and_lift(api, db):
    stopped = api.post(STOP, {"reason": "drill", "expiresAt": "2999-01-01T00:00:00Z"}, key="stop-1")
    assert stopped.status_code == 200
    assert body(stopped)["stop"]["payoutKillSwitchReason"] == "drill"
    assert api.post(STOP, {"reason": "drill", "expiresAt": "2999-01-01T00:00:00Z"}, key="stop-1").content == (
        stopped.content
    )  # fmt: skip
    api.put("/ops/finance/billing/plan", {"moneyRails": {"payoutKillSwitch": True, "fourEyes": True}})
    waiting = api.post(LIFT, {"reason": "over"})
    assert (waiting.status_code, body(waiting)["approval"]["kind"]) == (202, "kill_switch_lift")


@pytest.mark.parametrize(
    "sent",
    [{}, {"reason": ""}, {"reason": 5}, {"reason": "x" * 501}, {"reason": "x", "expiresAt": "tomorrow"},
     {"reason": "x", "expiresAt": "2001-01-01T00:00:00Z"}, {"reason": "x", "expiresAt": 2**60}],
)  # fmt: skip
def test_a_stop_that_cannot_be_read_is_refused(api, db, sent):
    assert refusal(api.post(STOP, sent)) == (400, "SCHEMA_INVALID")
