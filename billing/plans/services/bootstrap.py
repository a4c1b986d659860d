"""The plan that a tenant's bootstrap asks for (platform-operations 3.5)."""

import datetime as dt
from typing import Any

from billing.plans.queries import config as stored_config
from billing.plans.services.plan import lock
from settld.tenants.services.bootstrap import BillingWish


def settle_plan(*, tenant_id: str, wish: BillingWish, now: dt.datetime) -> dict[str, Any]:
    """Set the fields that were given, in the bootstrap's transaction; tell the plan that results."""
    if wish.is_empty:
        config = stored_config(tenant_id=tenant_id)
    else:
        config = lock(tenant_id=tenant_id, now=now)
        config.base_plan = wish.plan or config.base_plan
        if wish.hard_limit_enforced is not None:
            config.hard_limit_enforced = wish.hard_limit_enforced
        config.updated_at = now
        config.save()
    return {
        "plan": config.effective_plan,
        "hardLimitEnforced": config.hard_limit_enforced,
        "planOverrides": config.plan_overrides,
        "resolvedPlan": config.resolved_json(),
    }
