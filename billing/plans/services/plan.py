"""Setting a tenant's plan, and the controls of its money rails with it (1.3-1.5; money-rails 2.9)."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from billing.plans.models import BillingTenantConfig
from billing.plans.services.plan_request import PlanChange, read_change
from moneyrails.models import Approval, MoneyRailControls
from moneyrails.queries import payout_facts
from moneyrails.services import approvals, controls, stops
from moneyrails.services.approvals import Asked
from moneyrails.services.controls import Draft
from moneyrails.services.stops import CONTROL_KINDS
from settld.audit import services as audit
from settld.core import failpoints, transactions
from settld.core.errors import Conflict
from settld.core.hashing import canonical_hash
from settld.core.principals import Actor

KIND: Final = "billing_plan"


@dataclass(frozen=True)
class Replaced:
    """What became of a change: done, or waiting for a second person with nothing of it done but a stop."""

    config: BillingTenantConfig
    approval: Approval | None = None
    was_stopped: bool = False


class ControlsChanged(Conflict):
    """Somebody changed the plan or the controls since the caller looked; nothing was changed."""

    code = "CONTROLS_CHANGED"
    message = "the controls have changed since this form was shown"


def replace(*, tenant_id: str, change: PlanChange, actor: Actor, now: dt.datetime) -> Replaced:
    """Write the tenant's plan and, when they were sent, its money-rail controls: both or neither.

    The plan's row is locked first, then the controls', which waits for payouts being decided under them.
    Where the controls would be loosened and the tenant has four eyes, nothing of the body is done, except
    that a stop in it stops at once; the body is kept for a second person. Raises Invalid for controls that
    cannot be, and ControlsChanged when they are no longer what the caller saw.
    """
    with transactions.joined():
        config = lock(tenant_id=tenant_id, now=now)
        draft = controls.draft(tenant_id=tenant_id, payload=change.controls, now=now)
        if draft is not None and change.expects not in ("", fingerprint(config, draft.controls)):
            raise ControlsChanged()
        if draft is not None and draft.needs_second_person:
            was_stopped = _stop_at_once(change, draft, actor=actor, now=now)
            if was_stopped:
                draft = controls.draft(tenant_id=tenant_id, payload=change.controls, now=now) or draft
            approval = _ask(config, change, draft, actor=actor, now=now)
            return Replaced(config, approval, was_stopped)
        before = facts(config)
        more = {"reason": change.reason} if change.reason else {}
        rails = _apply(config, change, draft, more=more, actor=actor, now=now)
        if rails.before != rails.after or before != facts(config):
            approvals.end_stale(tenant_id=tenant_id, kinds=CONTROL_KINDS, actor=actor, now=now)
        return Replaced(config)


def _apply(
    config: BillingTenantConfig,
    change: PlanChange,
    draft: Draft | None,
    *,
    more: dict[str, Any],
    actor: Actor,
    now: dt.datetime,
) -> controls.Change:
    before = facts(config)
    config.base_plan = change.base_plan or config.base_plan
    config.plan_overrides = change.plan_overrides
    config.hard_limit_enforced = change.hard_limit_enforced
    config.updated_at = now
    config.save()
    if draft is None:
        rails = controls.unchanged(tenant_id=config.tenant_id)
    else:
        rails = controls.apply(draft, set_by=actor.principal_id, now=now)
    audit.append(
        tenant_id=config.tenant_id,
        actor=actor,
        action="BILLING_PLAN_UPSERT",
        target_type="billing_plan",
        target_id=config.tenant_id,
        details={
            "plan": config.base_plan,
            "hardLimitEnforced": config.hard_limit_enforced,
            "hasPlanOverrides": bool(config.plan_overrides),
            "hasMoneyRailsControls": rails.is_configured,
            "before": before | {"controls": rails.before},
            "after": facts(config) | {"controls": rails.after},
            **more,
        },
        at=now,
    )
    return rails


def lock(*, tenant_id: str, now: dt.datetime) -> BillingTenantConfig:
    """Lock the tenant's row until commit, made with the defaults when there is none."""
    BillingTenantConfig.objects.bulk_create(
        [BillingTenantConfig(tenant_id=tenant_id, created_at=now, updated_at=now)], ignore_conflicts=True
    )
    return BillingTenantConfig.objects.select_for_update().get(tenant_id=tenant_id)


def facts(config: BillingTenantConfig) -> dict[str, Any]:
    """Give what a plan change may change, as the audit shows it."""
    return {
        "plan": config.base_plan,
        "hardLimitEnforced": config.hard_limit_enforced,
        "planOverrides": config.plan_overrides,
    }


def fingerprint(config: BillingTenantConfig, row: MoneyRailControls) -> str:
    """Name the plan and the rules in force, so that a form can tell whether they are what it showed."""
    return canonical_hash(facts(config) | {"controls": controls.standing(row, names_accounts=False)})


# --- Waiting for a second person ------------------------------------------------------------------
def _stop_at_once(change: PlanChange, draft: Draft, *, actor: Actor, now: dt.datetime) -> bool:
    """Press the stop that a waiting body asks for: whoever sends one must not find payouts going on."""
    wanted = draft.wanted
    if not wanted.payout_kill_switch or draft.controls.payout_kill_switch:
        return False
    reason, expires_at = wanted.kill_switch_reason, wanted.kill_switch_expires_at
    stops.stop(
        tenant_id=draft.controls.tenant_id,
        reason=(reason if isinstance(reason, str) else "") or change.reason,
        expires_at=expires_at if isinstance(expires_at, dt.datetime) else None,
        actor=actor,
        now=now,
    )
    return True


def _ask(
    config: BillingTenantConfig, change: PlanChange, draft: Draft, *, actor: Actor, now: dt.datetime
) -> Approval:
    asked = Asked(
        kind=KIND,
        subject=config.tenant_id,
        body=change.body,
        base=facts(config) | {"controls": draft.base},
        changes=[entry.as_json() for entry in draft.loosened],
        reason=change.reason,
    )
    return approvals.ask(asked, tenant_id=config.tenant_id, actor=actor, now=now)


class PlanReplacement:
    """The kind of approval that carries out a plan's PUT: all of its body, or nothing."""

    name = KIND
    title = "Change the controls"
    unsettles = CONTROL_KINDS

    def lock(self, *, tenant_id: str, now: dt.datetime) -> None:
        lock(tenant_id=tenant_id, now=now)
        payout_facts.lock_controls(tenant_id=tenant_id, now=now, exclusively=True)

    def base(self, approval: Approval) -> dict[str, Any]:
        config = BillingTenantConfig.objects.get(tenant_id=approval.tenant_id)
        asked_accounts = "accounts" in approval.base["controls"]["connect"]
        standing = controls.standing(
            controls.get(tenant_id=approval.tenant_id), names_accounts=asked_accounts
        )
        return facts(config) | {"controls": standing}

    def apply(self, approval: Approval, *, actor: Actor, now: dt.datetime) -> dict[str, Any]:
        config = BillingTenantConfig.objects.get(tenant_id=approval.tenant_id)
        change = read_change(approval.body)
        draft = controls.draft(tenant_id=approval.tenant_id, payload=change.controls, now=now)
        more = {
            "approvalId": str(approval.pk),
            "requestedBy": approval.requested_by,
            "reason": approval.request_reason,
        }
        rails = _apply(config, change, draft, more=more, actor=actor, now=now)
        failpoints.hit("plan_approval.before_commit")
        return {"plan": facts(config), "controls": rails.after}
