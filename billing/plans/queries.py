"""Reading a tenant's plan."""

from billing.plans.models import BillingTenantConfig


def config(*, tenant_id: str) -> BillingTenantConfig:
    """Give the tenant's configuration; one that was never set is the unsaved default."""
    stored = BillingTenantConfig.objects.filter(tenant_id=tenant_id).first()
    return stored or BillingTenantConfig(tenant_id=tenant_id)
