"""Subscriptions as the provider has them, and the cancellation of duplicates."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from billing.models import fields, triggers
from billing.models.fields import Leased, Revised, Stamped, Watermarked
from billing.states import (
    TERMINAL_SUBSCRIPTION,
    BillingComponent,
    RemediationStatus,
    SubscriptionStatus,
    UsageType,
)


class Subscription(Stamped, Watermarked, Revised):
    """A provider's subscription; only the projection and reconciliation write it (INV-24)."""

    tenant_id = fields.tenant()
    billable_entity = fields.belongs_to("billing.BillableEntity")
    plan = models.ForeignKey("billing.Plan", on_delete=models.PROTECT, related_name="+")
    billing_customer = fields.belongs_to("billing.Customer")
    provider = fields.provider()
    provider_subscription_id = fields.ref()
    status = fields.word(SubscriptionStatus)
    provider_subscription_created_at = models.DateTimeField()
    current_period_end = models.DateTimeField(null=True, blank=True)
    trial_end = models.DateTimeField(null=True, blank=True)
    cancel_at = models.DateTimeField(null=True, blank=True)
    canceled_at = models.DateTimeField(null=True, blank=True)
    cancel_at_period_end = models.BooleanField(default=False)
    ended_at = models.DateTimeField(null=True, blank=True)
    is_current = models.BooleanField(default=False)
    needs_reconciliation = models.BooleanField(default=False)
    metadata_json = fields.metadata()

    class Meta:
        db_table = "billing_subscriptions"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "provider", "provider_subscription_id"], name="subscription_once"
            ),
            models.UniqueConstraint(fields=["tenant_id", "id", "provider"], name="subscription_of_provider"),
            models.UniqueConstraint(
                fields=["tenant_id", "billable_entity"],
                condition=Q(is_current=True),
                name="subscription_one_current",
            ),
            models.CheckConstraint(
                condition=Q(is_current=False) | ~Q(status__in=TERMINAL_SUBSCRIPTION),
                name="subscription_terminal_not_current",
            ),
            fields.one_of("status", SubscriptionStatus, name="subscription_status"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["billable_entity", "updated_at"], name="subscription_recent"),
            models.Index(fields=["-updated_at", "-id"], name="subscription_latest"),
            models.Index(
                fields=["id"], name="subscription_live", condition=~Q(status__in=TERMINAL_SUBSCRIPTION)
            ),
            models.Index(fields=["id"], name="subscription_flagged", condition=Q(needs_reconciliation=True)),
        ]
        triggers: ClassVar = [
            triggers.entity_lock_held("subscription"),
            triggers.SUBSCRIPTION_WRITER,
            triggers.immutable(
                "subscription",
                "tenant_id",
                "billable_entity_id",
                "provider",
                "provider_subscription_id",
                "provider_subscription_created_at",
                rule="subscription_identity",
            ),
            triggers.revised("subscription"),
        ]

    def __str__(self) -> str:
        return self.provider_subscription_id

    @property
    def is_terminal(self) -> bool:
        """Tell whether it has ended for good."""
        return self.status in TERMINAL_SUBSCRIPTION


class SubscriptionItem(Stamped, Watermarked):
    """One price of a subscription; it inherits the decision about its parent."""

    tenant_id = fields.tenant()
    subscription = fields.belongs_to("billing.Subscription")
    provider = fields.provider()
    provider_subscription_item_id = fields.ref()
    provider_price_id = fields.optional_ref()
    billing_plan_price = models.ForeignKey(
        "billing.PlanPrice",
        on_delete=models.PROTECT,
        db_constraint=False,
        related_name="+",
        null=True,
        blank=True,
    )
    billing_component = fields.word(BillingComponent, default=BillingComponent.BASE)
    usage_type = fields.word(UsageType, default=UsageType.LICENSED)
    quantity = models.BigIntegerField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    metadata_json = fields.metadata()

    class Meta:
        db_table = "billing_subscription_items"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "provider", "provider_subscription_item_id"],
                name="subscription_item_once",
            ),
            models.CheckConstraint(
                condition=Q(quantity=None) | Q(quantity__gte=0), name="subscription_item_quantity"
            ),
            fields.one_of("billing_component", BillingComponent, name="subscription_item_component"),
            fields.one_of("usage_type", UsageType, name="subscription_item_usage"),
        ]

    def __str__(self) -> str:
        return self.provider_subscription_item_id


class Remediation(Stamped, Leased):
    """The cancellation of one duplicate, owed to the provider (INV-26)."""

    tenant_id = fields.tenant()
    billable_entity = fields.belongs_to("billing.BillableEntity")
    provider = fields.provider()
    operation_key = fields.optional_ref(64)
    provider_event_id = fields.optional_ref()
    canonical_provider_subscription_id = fields.ref()
    canonical_subscription = models.ForeignKey(
        Subscription, on_delete=models.SET_NULL, db_constraint=False, related_name="+", null=True, blank=True
    )
    duplicate_provider_subscription_id = fields.ref()
    action = models.CharField(max_length=60, default="cancel_duplicate_subscription")
    status = fields.word(RemediationStatus, default=RemediationStatus.PENDING)
    selection_algorithm_version = models.CharField(max_length=40, default="dup_canonical_v2")
    attempt_count = models.IntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    error_text = models.TextField(null=True, blank=True)  # noqa: DJ001  (absent is NULL here)
    metadata_json = fields.metadata()

    class Meta:
        db_table = "billing_subscription_remediations"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "provider", "duplicate_provider_subscription_id", "action"],
                name="remediation_once",
            ),
            models.CheckConstraint(
                condition=~Q(canonical_provider_subscription_id=F("duplicate_provider_subscription_id")),
                name="remediation_spares_canonical",
            ),
            models.CheckConstraint(
                condition=Q(action="cancel_duplicate_subscription"), name="remediation_action"
            ),
            fields.one_of("status", RemediationStatus, name="remediation_status"),
            models.CheckConstraint(
                condition=Q(status=RemediationStatus.IN_PROGRESS, lease_expires_at__isnull=False)
                | (~Q(status=RemediationStatus.IN_PROGRESS) & Q(lease_expires_at=None)),
                name="remediation_lease",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["status", "next_attempt_at"], name="remediation_due"),
            models.Index(
                fields=["tenant_id", "next_attempt_at", "id"],
                name="remediation_turn",
                condition=Q(
                    status__in=[
                        RemediationStatus.PENDING,
                        RemediationStatus.FAILED,
                        RemediationStatus.IN_PROGRESS,
                    ]
                ),
            ),
            models.Index(fields=["billable_entity", "updated_at"], name="remediation_recent"),
            models.Index(fields=["-updated_at", "-id"], name="remediation_latest"),
            models.Index(
                fields=["operation_key"],
                name="remediation_by_operation",
                condition=Q(operation_key__isnull=False),
            ),
        ]
        triggers: ClassVar = [triggers.entity_lock_held("remediation")]

    def __str__(self) -> str:
        return f"cancel {self.duplicate_provider_subscription_id}: {self.status}"
