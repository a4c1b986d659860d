"""Plan tables."""

from billing.plans.models.config import BillingTenantConfig

__all__ = ["BillingTenantConfig"]
