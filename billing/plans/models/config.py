"""What one tenant pays by."""

from typing import Any, ClassVar

from django.db import models

from billing.plans.catalog import CATALOG, DEFAULT_PLAN
from settld.core import ids


class BillingTenantConfig(models.Model):
    """A tenant's base plan and overrides; made on first write, its row lock orders plan changes.

    `plan_overrides` holds whole numbers under their wire names, the overage rate in milli-cents only.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    base_plan = models.CharField(
        max_length=20,
        default=DEFAULT_PLAN,
        choices=[(plan.plan_id, plan.display_name) for plan in CATALOG.values()],
    )
    hard_limit_enforced = models.BooleanField(default=True)
    plan_overrides: "models.JSONField[Any, Any]" = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "billing_tenant_config"
        verbose_name = "tenant plan"
        constraints: ClassVar = [
            models.UniqueConstraint("tenant_id", name="billing_config_once_per_tenant"),
            models.CheckConstraint(
                condition=models.Q(base_plan__in=list(CATALOG)), name="billing_config_plan_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}: {self.base_plan}"
