"""What one tenant pays by."""

from typing import Any, ClassVar, Final

from django.db import models
from django.db.models import Q

from billing.plans import catalog
from billing.plans.catalog import CATALOG, DEFAULT_PLAN, Plan
from settld.core import clock, columns, ids

# The subscription record: wire names in the order of the wire, and their columns (1.5).
SUBSCRIPTION_COLUMNS: Final[dict[str, str]] = {
    "provider": "subscription_provider",
    "customerId": "subscription_customer_id",
    "subscriptionId": "subscription_id",
    "priceId": "subscription_price_id",
    "status": "subscription_status",
    "plan": "subscription_plan",
    "currentPeriodStart": "subscription_period_start_at",
    "currentPeriodEnd": "subscription_period_end_at",
    "cancelAtPeriodEnd": "subscription_cancels_at_period_end",
    "canceledAt": "subscription_canceled_at",
    "sourceEventCreatedAt": "subscription_source_event_at",
    "lastEventId": "subscription_last_event_id",
    "lastEventType": "subscription_last_event_type",
    "updatedAt": "subscription_updated_at",
    "metadata": "subscription_metadata",
}
INSTANTS: Final = (
    "currentPeriodStart", "currentPeriodEnd", "canceledAt", "sourceEventCreatedAt", "updatedAt"
)  # fmt: skip
PLAN_CHOICES: Final = [(plan.plan_id, plan.display_name) for plan in CATALOG.values()]


class BillingTenantConfig(models.Model):
    """A tenant's base plan, overrides and subscription; its row lock orders all changes of them.

    `plan_overrides` holds whole numbers under their wire names, the overage rate in milli-cents only.
    There is a subscription record exactly when `subscription_updated_at` is set; events order by
    (`subscription_source_event_at`, `subscription_last_event_id`).
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    base_plan = models.CharField(max_length=20, default=DEFAULT_PLAN, choices=PLAN_CHOICES)
    hard_limit_enforced = models.BooleanField(default=True)
    plan_overrides: "models.JSONField[Any, Any]" = models.JSONField(null=True, blank=True)
    subscription_provider = columns.optional(500)
    subscription_customer_id = columns.optional(500)
    subscription_id = columns.optional(500)
    subscription_price_id = columns.optional(500)
    subscription_status = columns.optional(500)
    subscription_plan = models.CharField(max_length=20, null=True, blank=True, choices=PLAN_CHOICES)  # noqa: DJ001
    subscription_period_start_at = models.DateTimeField(null=True, blank=True)
    subscription_period_end_at = models.DateTimeField(null=True, blank=True)
    subscription_cancels_at_period_end = models.BooleanField(default=False, db_default=False)
    subscription_canceled_at = models.DateTimeField(null=True, blank=True)
    subscription_source_event_at = models.DateTimeField(null=True, blank=True)
    subscription_last_event_id = columns.optional(500)
    subscription_last_event_type = columns.optional(500)
    subscription_updated_at = models.DateTimeField(null=True, blank=True)
    subscription_metadata: "models.JSONField[Any, Any]" = models.JSONField(null=True, blank=True)
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
            models.CheckConstraint(
                condition=Q(subscription_plan__isnull=True) | Q(subscription_plan__in=list(CATALOG)),
                name="billing_config_subscription_plan_known",
            ),
            models.CheckConstraint(
                condition=Q(subscription_updated_at__isnull=False)
                | Q(
                    subscription_cancels_at_period_end=False,
                    **{
                        f"{column}__isnull": True
                        for column in SUBSCRIPTION_COLUMNS.values()
                        if column != "subscription_cancels_at_period_end"
                    },
                ),
                name="billing_config_subscription_whole_or_none",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}: {self.effective_plan}"

    @property
    def effective_plan(self) -> str:
        """Name the plan in force: the subscription's, when it names one and entitles, else the base plan."""
        if self.subscription_plan and catalog.entitles(self.subscription_status):
            return str(self.subscription_plan)
        return str(self.base_plan)

    @property
    def resolved(self) -> Plan:
        """Give the plan in force with the tenant's overrides applied."""
        return catalog.resolve(self.effective_plan, self.plan_overrides)

    def resolved_json(self) -> dict[str, Any]:
        """Shape the plan in force as `resolvedPlan`."""
        return self.resolved.as_json() | {"hardLimitEnforced": self.hard_limit_enforced}

    def subscription_json(self) -> dict[str, Any] | None:
        """Shape the subscription record, or None."""
        if self.subscription_updated_at is None:
            return None
        values = {key: getattr(self, column) for key, column in SUBSCRIPTION_COLUMNS.items()}
        return values | {key: clock.iso(values[key]) for key in INSTANTS}
