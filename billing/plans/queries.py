"""Reading a tenant's plan."""

from billing.plans.models import BillingTenantConfig
from settld.core import rows
from settld.metering.limit import HardLimit


def config(*, tenant_id: str) -> BillingTenantConfig:
    """Give the tenant's configuration; one that was never set is the unsaved default."""
    stored = rows.first(BillingTenantConfig, "tenant_id = %s", [tenant_id])
    return stored or BillingTenantConfig(tenant_id=tenant_id)


def verified_run_limit(*, tenant_id: str) -> HardLimit | None:
    """Give the hard limit in force, or None where another run is only billed (2.2)."""
    stored = config(tenant_id=tenant_id)
    plan = stored.resolved
    if not stored.hard_limit_enforced or plan.hard_limit_verified_runs_per_month == 0:
        return None
    return HardLimit(plan=plan.plan_id, most=plan.hard_limit_verified_runs_per_month)
