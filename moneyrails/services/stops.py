"""The stop of all payouts: pressed by one person at once, lifted by two where the tenant has four eyes.

A stop may say until when it is meant. It does not lift itself then: gates go on refusing, and people are
asked to lift or to extend it.
"""

import datetime as dt
from typing import Any, Final

from moneyrails.models import Approval, MoneyRailControls
from moneyrails.queries import payout_facts
from moneyrails.services import approvals, controls
from moneyrails.services.approvals import Asked
from settld.audit import services as audit
from settld.core import clock, failpoints, transactions
from settld.core.errors import Conflict, Invalid
from settld.core.principals import Actor

KIND: Final = "kill_switch_lift"
CONTROL_KINDS: Final[tuple[str, ...]] = ("billing_plan", KIND)
"""Kinds of approvals that are asked against the controls, all decided under their exclusive lock."""


class NotStopped(Conflict):
    """There is no stop to lift or to extend."""

    code = "PAYOUT_KILL_SWITCH_NOT_ACTIVE"
    message = "payouts are not stopped"


def stop(
    *, tenant_id: str, reason: str, expires_at: dt.datetime | None, actor: Actor, now: dt.datetime
) -> MoneyRailControls:
    """Stop all payouts of a tenant, in every mode; pressed again, the newer reason and expiry stand.

    Once this is committed no payout is enqueued or sent that missed it. Changes nothing else, and ends
    what waits for approval against the rules of before.
    """
    require_future(expires_at, now=now)
    with transactions.joined():
        row = payout_facts.lock_controls(tenant_id=tenant_id, now=now, exclusively=True)
        before = facts(row)
        row.payout_kill_switch = True
        row.kill_switch_reason, row.kill_switch_expires_at = reason, expires_at
        row.kill_switch_set_by, row.kill_switch_set_at = actor.principal_id, now
        row.configured_at = now
        row.save()
        _audit(row, "PAYOUT_KILL_SWITCH_ENGAGED", before, {"reason": reason}, actor=actor, now=now)
        approvals.end_stale(tenant_id=tenant_id, kinds=CONTROL_KINDS, actor=actor, now=now)
        failpoints.hit("stop.before_commit")
    return row


def extend(
    *, tenant_id: str, reason: str, expires_at: dt.datetime | None, actor: Actor, now: dt.datetime
) -> MoneyRailControls:
    """Let a stop stand longer, or with no end named; it goes on stopping either way."""
    require_future(expires_at, now=now)
    with transactions.joined():
        row = payout_facts.lock_controls(tenant_id=tenant_id, now=now, exclusively=True)
        if not row.payout_kill_switch:
            raise NotStopped()
        before = facts(row)
        row.kill_switch_expires_at = expires_at
        row.save()
        _audit(row, "PAYOUT_KILL_SWITCH_EXTENDED", before, {"reason": reason}, actor=actor, now=now)
        approvals.end_stale(tenant_id=tenant_id, kinds=CONTROL_KINDS, actor=actor, now=now)
    return row


def lift(*, tenant_id: str, reason: str, actor: Actor, now: dt.datetime) -> Approval | None:
    """Let payouts go again; gives the approval that it waits for where one person may not, else None."""
    with transactions.joined():
        row = payout_facts.lock_controls(tenant_id=tenant_id, now=now, exclusively=True)
        if not row.payout_kill_switch:
            raise NotStopped()
        if row.has_four_eyes:
            asked = Asked(
                kind=KIND,
                subject=tenant_id,
                body={"payoutKillSwitch": False},
                base=facts(row),
                changes=[
                    {
                        "field": "payoutKillSwitch",
                        "before": True,
                        "after": False,
                        "why": "the stop is lifted",
                    }
                ],
                reason=reason,
            )
            return approvals.ask(asked, tenant_id=tenant_id, actor=actor, now=now)
        _lift(row, {"reason": reason}, actor=actor, now=now)
        approvals.end_stale(tenant_id=tenant_id, kinds=CONTROL_KINDS, actor=actor, now=now)
    return None


def _lift(row: MoneyRailControls, more: dict[str, Any], *, actor: Actor, now: dt.datetime) -> None:
    before = facts(row)
    controls.lift_stop(row)
    row.configured_at = now
    row.save()
    _audit(row, "PAYOUT_KILL_SWITCH_LIFTED", before, more, actor=actor, now=now)
    failpoints.hit("lift.before_commit")


def facts(row: MoneyRailControls) -> dict[str, Any]:
    """Give the stop as the wire shows it."""
    return {"payoutKillSwitch": row.payout_kill_switch, **controls.stop_json(row)}


def require_future(expires_at: dt.datetime | None, *, now: dt.datetime) -> None:
    """Refuse an expiry that has passed."""
    if expires_at is not None and expires_at <= now:
        raise Invalid("expiresAt must be in the future", details={"now": clock.iso(now)})


def _audit(
    row: MoneyRailControls,
    action: str,
    before: dict[str, Any],
    more: dict[str, Any],
    *,
    actor: Actor,
    now: dt.datetime,
) -> None:
    audit.append(
        tenant_id=row.tenant_id,
        actor=actor,
        action=action,
        target_type="money_rail_controls",
        target_id=row.tenant_id,
        details={"before": {"controls": before}, "after": {"controls": facts(row)}, **more},
        at=now,
    )


class Lifting:
    """The kind of approval that lifts a stop: it is about this stop only, not about the rules around it."""

    name = KIND
    title = "Lift the stop of payouts"
    unsettles = CONTROL_KINDS

    def lock(self, *, tenant_id: str, now: dt.datetime) -> None:
        payout_facts.lock_controls(tenant_id=tenant_id, now=now, exclusively=True)

    def base(self, approval: Approval) -> dict[str, Any]:
        return facts(controls.get(tenant_id=approval.tenant_id))

    def apply(self, approval: Approval, *, actor: Actor, now: dt.datetime) -> dict[str, Any]:
        row = controls.get(tenant_id=approval.tenant_id)
        more = {
            "reason": approval.request_reason,
            "approvalId": str(approval.pk),
            "requestedBy": approval.requested_by,
        }
        _lift(row, more, actor=actor, now=now)
        return {"payoutKillSwitch": False}
