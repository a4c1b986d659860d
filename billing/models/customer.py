"""Customers at the provider, and how they pay."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from billing.models import fields, triggers
from billing.models.fields import Stamped, Watermarked
from billing.states import CustomerOrigin, PaymentMethodStatus, SyncStatus


class Customer(Stamped, Watermarked):
    """A provider's customer; it never changes its entity (INV-34), and an entity has one primary (INV-35)."""

    tenant_id = fields.tenant()
    billable_entity = fields.belongs_to("billing.BillableEntity")
    provider = fields.provider()
    provider_customer_id = fields.ref()
    email = models.CharField(max_length=320, null=True, blank=True)  # noqa: DJ001  (absent is NULL here)
    origin = fields.word(CustomerOrigin)
    is_primary = models.BooleanField(default=False)
    provider_deleted_at = models.DateTimeField(null=True, blank=True)
    metadata_json = fields.metadata()

    class Meta:
        db_table = "billing_customers"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "provider", "provider_customer_id"], name="billing_customer_once"
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "id", "billable_entity", "provider"], name="billing_customer_of_entity"
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "billable_entity", "provider"],
                condition=Q(is_primary=True),
                name="billing_customer_one_primary",
            ),
            models.CheckConstraint(
                condition=~Q(origin=CustomerOrigin.PAYMENT_LINK) | Q(is_primary=False),
                name="billing_customer_link_payer",
            ),
            fields.one_of("origin", CustomerOrigin, name="billing_customer_origin"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["billable_entity", "updated_at"], name="billing_customer_recent")
        ]
        triggers: ClassVar = [
            triggers.immutable(
                "billing_customer",
                "tenant_id",
                "billable_entity_id",
                "provider",
                "provider_customer_id",
                rule="customer_entity",
            )
        ]

    def __str__(self) -> str:
        return self.provider_customer_id


class PaymentMethod(Stamped, Watermarked):
    """A way to pay that a customer has attached."""

    tenant_id = fields.tenant()
    billable_entity = fields.belongs_to("billing.BillableEntity")
    billing_customer = fields.belongs_to("billing.Customer")
    provider = fields.provider()
    provider_payment_method_id = fields.ref()
    type = models.CharField(max_length=60)
    brand = models.CharField(max_length=80, null=True, blank=True)  # noqa: DJ001  (absent is NULL here)
    last4 = models.CharField(max_length=4, null=True, blank=True)  # noqa: DJ001  (absent is NULL here)
    exp_month = models.SmallIntegerField(null=True, blank=True)
    exp_year = models.SmallIntegerField(null=True, blank=True)
    is_default = models.BooleanField(default=False)
    status = fields.word(PaymentMethodStatus, default=PaymentMethodStatus.ACTIVE)
    last_provider_synced_at = models.DateTimeField(null=True, blank=True)
    metadata_json = fields.metadata()

    class Meta:
        db_table = "billing_payment_methods"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "provider", "provider_payment_method_id"], name="payment_method_once"
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "billing_customer"],
                condition=Q(is_default=True, status=PaymentMethodStatus.ACTIVE),
                name="payment_method_one_default",
            ),
            models.CheckConstraint(
                condition=Q(exp_month=None) | Q(exp_month__range=(1, 12)), name="payment_method_month"
            ),
            models.CheckConstraint(
                condition=Q(exp_year=None) | Q(exp_year__range=(2000, 9999)), name="payment_method_year"
            ),
            fields.one_of("status", PaymentMethodStatus, name="payment_method_status"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["billable_entity", "updated_at"], name="payment_method_recent")
        ]
        triggers: ClassVar = [
            triggers.immutable(
                "payment_method",
                "tenant_id",
                "billable_entity_id",
                "billing_customer_id",
                "provider",
                "provider_payment_method_id",
                rule="payment_method_owner",
            )
        ]

    def __str__(self) -> str:
        return self.provider_payment_method_id


class PaymentMethodSync(Stamped):
    """One look at an entity's payment methods, or one event about them."""

    tenant_id = fields.tenant()
    billable_entity = fields.belongs_to("billing.BillableEntity")
    billing_customer = models.ForeignKey(
        Customer, on_delete=models.SET_NULL, db_constraint=False, related_name="+", null=True, blank=True
    )
    provider = fields.provider()
    event_type = models.CharField(max_length=191, default="manual_sync")
    provider_event_id = fields.optional_ref()
    status = fields.word(SyncStatus)
    error_text = models.TextField(null=True, blank=True)  # noqa: DJ001  (absent is NULL here)
    payload_json = models.JSONField(null=True, blank=True)
    processed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "billing_payment_method_sync_events"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "provider", "provider_event_id"],
                condition=Q(provider_event_id__isnull=False),
                name="payment_method_sync_event_once",
            ),
            fields.one_of("status", SyncStatus, name="payment_method_sync_status"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["billable_entity", "updated_at"], name="payment_method_sync_recent"),
            models.Index(fields=["-updated_at", "-id"], name="payment_method_sync_latest"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.status}"
