"""Admin of tenant plans: for looking."""

from django.contrib import admin

from billing.plans.models import BillingTenantConfig
from settld.core.admin import ReadOnlyAdmin


@admin.register(BillingTenantConfig)
class BillingTenantConfigAdmin(ReadOnlyAdmin):
    list_display = ("tenant_id", "base_plan", "hard_limit_enforced", "plan_overrides", "updated_at")
    list_filter = ("base_plan", "hard_limit_enforced")
    search_fields = ("=tenant_id",)
