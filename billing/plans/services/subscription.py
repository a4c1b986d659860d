"""Setting a tenant's subscription record and base plan by hand (settld-billing-and-finance 1.4, 1.5)."""

import datetime as dt
from typing import Any

from billing.plans.models import BillingTenantConfig
from billing.plans.services.plan import facts, lock
from billing.plans.services.subscription_request import SubscriptionChange
from moneyrails.services import approvals
from moneyrails.services.stops import CONTROL_KINDS
from settld.audit import services as audit
from settld.core import transactions
from settld.core.principals import Actor


def upsert(
    *, tenant_id: str, change: SubscriptionChange, actor: Actor, now: dt.datetime
) -> BillingTenantConfig:
    """Write what was sent under the lock of the tenant's row; overrides and controls stay as they are.

    A record is replaced whole. A request to change the plan that waits for a second person ends when
    what it was asked against is gone.
    """
    with transactions.joined():
        config = lock(tenant_id=tenant_id, now=now)
        before, facts_before = _facts(config), facts(config)
        config.base_plan = change.base_plan or config.base_plan
        for column, value in (change.columns or {}).items():
            setattr(config, column, value)
        config.updated_at = now
        config.save()
        if facts(config) != facts_before:
            approvals.end_stale(tenant_id=tenant_id, kinds=CONTROL_KINDS, actor=actor, now=now)
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action="BILLING_SUBSCRIPTION_UPSERT",
            target_type="billing_subscription",
            target_id=tenant_id,
            details={
                "plan": config.effective_plan,
                "previousPlan": before["effectivePlan"],
                "before": before,
                "after": _facts(config),
            },
            at=now,
        )
        return config


def _facts(config: BillingTenantConfig) -> dict[str, Any]:
    """Give what this verb may change, as the audit shows it; metadata is the provider's, not ours."""
    subscription = config.subscription_json()
    if subscription is not None:
        del subscription["metadata"]
    return {
        "basePlan": config.base_plan,
        "effectivePlan": config.effective_plan,
        "subscription": subscription,
    }
