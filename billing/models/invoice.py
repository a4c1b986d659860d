"""Invoices and payments as the provider has them."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from billing.models import fields, triggers
from billing.models.fields import Revised, Stamped, Watermarked
from billing.states import InvoiceStatus, PaymentStatus


class Invoice(Stamped, Watermarked, Revised):
    """A provider's invoice; it waits by `provider_subscription_id` for a subscription not known yet."""

    tenant_id = fields.tenant()
    billable_entity = fields.belongs_to("billing.BillableEntity")
    billing_customer = fields.belongs_to("billing.Customer")
    subscription = fields.belongs_to("billing.Subscription", null=True, blank=True)
    provider = fields.provider()
    provider_subscription_id = fields.optional_ref()
    provider_invoice_id = fields.ref()
    status = fields.word(InvoiceStatus)
    amount_due_minor = models.BigIntegerField()
    amount_paid_minor = models.BigIntegerField()
    amount_remaining_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3, db_collation="C")
    issued_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    needs_reconciliation = models.BooleanField(default=False, db_default=False)
    metadata_json = fields.metadata()

    class Meta:
        db_table = "billing_invoices"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "provider", "provider_invoice_id"], name="invoice_once"
            ),
            models.UniqueConstraint(fields=["tenant_id", "id", "provider"], name="invoice_of_provider"),
            models.CheckConstraint(
                condition=Q(amount_due_minor__gte=0, amount_paid_minor__gte=0, amount_remaining_minor__gte=0),
                name="invoice_amounts",
            ),
            fields.is_currency("currency", name="invoice_currency"),
            fields.one_of("status", InvoiceStatus, name="invoice_status"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["billable_entity", "updated_at"], name="invoice_recent"),
            models.Index(fields=["-updated_at", "-id"], name="invoice_latest"),
            models.Index(
                fields=["tenant_id", "provider", "provider_subscription_id"],
                name="invoice_waiting",
                condition=Q(subscription=None),
            ),
            # An event about a payment names the invoice before the tenant is known.
            models.Index(fields=["provider_invoice_id"], name="invoice_by_provider_id"),
        ]
        triggers: ClassVar = [
            triggers.immutable(
                "invoice",
                "tenant_id",
                "billable_entity_id",
                "billing_customer_id",
                "provider",
                "provider_invoice_id",
                rule="invoice_owner",
            ),
            triggers.revised("invoice"),
        ]

    def __str__(self) -> str:
        return self.provider_invoice_id


class Payment(Stamped, Watermarked):
    """One payment of an invoice; under a made-up id until the provider names the real one."""

    tenant_id = fields.tenant()
    invoice = fields.belongs_to("billing.Invoice")
    provider = fields.provider()
    provider_payment_id = fields.ref()
    is_fallback_id = models.BooleanField(default=False)
    type = models.CharField(max_length=60)
    status = fields.word(PaymentStatus)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3, db_collation="C")
    paid_at = models.DateTimeField(null=True, blank=True)
    metadata_json = fields.metadata()

    class Meta:
        db_table = "billing_payments"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "provider", "provider_payment_id"], name="payment_once"
            ),
            models.CheckConstraint(condition=Q(amount_minor__gte=0), name="payment_amount"),
            fields.is_currency("currency", name="payment_currency"),
            fields.one_of("status", PaymentStatus, name="payment_status"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["invoice", "updated_at"], name="payment_recent"),
            models.Index(fields=["-updated_at", "-id"], name="payment_latest"),
        ]

    def __str__(self) -> str:
        return self.provider_payment_id
