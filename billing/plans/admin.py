"""Admin of tenant plans: for looking."""

from django.contrib import admin

from billing.plans.models import BillingTenantConfig
from settld.core.admin import ReadOnlyAdmin


@admin.register(BillingTenantConfig)
class BillingTenantConfigAdmin(ReadOnlyAdmin):
    list_display = (
        "tenant_id", "effective_plan", "base_plan", "subscription_plan", "subscription_status",
        "hard_limit_enforced", "plan_overrides", "updated_at",
    )  # fmt: skip
    list_filter = ("base_plan", "subscription_plan", "subscription_status", "hard_limit_enforced")
    search_fields = ("=tenant_id", "=subscription_id", "=subscription_customer_id")
