"""Setting a tenant's plan, and the controls of its money rails with it (1.3-1.5; money-rails 2.9)."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from billing.plans.models import BillingTenantConfig
from moneyrails.services import controls
from settld.audit import services as audit
from settld.core import transactions
from settld.core.principals import Actor


@dataclass(frozen=True)
class PlanChange:
    """What a caller wants: None keeps the base plan; `controls` is what was sent for them, or MISSING."""

    base_plan: str | None
    plan_overrides: dict[str, int] | None
    hard_limit_enforced: bool
    controls: object = controls.MISSING


def replace(*, tenant_id: str, change: PlanChange, actor: Actor, now: dt.datetime) -> BillingTenantConfig:
    """Write the tenant's plan and, when they were sent, its money-rail controls: both or neither.

    The plan's row is locked first, then the controls', which waits for payouts being decided under them.
    Raises Invalid for controls that cannot be.
    """
    with transactions.joined():
        config = lock(tenant_id=tenant_id, now=now)
        before = _facts(config)
        config.base_plan = change.base_plan or config.base_plan
        config.plan_overrides = change.plan_overrides
        config.hard_limit_enforced = change.hard_limit_enforced
        config.updated_at = now
        config.save()
        rails = controls.replace(tenant_id=tenant_id, payload=change.controls, now=now)
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action="BILLING_PLAN_UPSERT",
            target_type="billing_plan",
            target_id=tenant_id,
            details={
                "plan": config.base_plan,
                "hardLimitEnforced": config.hard_limit_enforced,
                "hasPlanOverrides": bool(config.plan_overrides),
                "hasMoneyRailsControls": rails.is_configured,
                "before": before | {"controls": rails.before},
                "after": _facts(config) | {"controls": rails.after},
            },
            at=now,
        )
        return config


def lock(*, tenant_id: str, now: dt.datetime) -> BillingTenantConfig:
    """Lock the tenant's row until commit, made with the defaults when there is none."""
    BillingTenantConfig.objects.bulk_create(
        [BillingTenantConfig(tenant_id=tenant_id, created_at=now, updated_at=now)], ignore_conflicts=True
    )
    return BillingTenantConfig.objects.select_for_update().get(tenant_id=tenant_id)


def _facts(config: BillingTenantConfig) -> dict[str, Any]:
    return {
        "plan": config.base_plan,
        "hardLimitEnforced": config.hard_limit_enforced,
        "planOverrides": config.plan_overrides,
    }
