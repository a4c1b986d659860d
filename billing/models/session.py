"""Checkout sessions and payment links."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from billing.models import fields, triggers
from billing.models.fields import Stamped, Watermarked
from billing.states import BLOCKING, Flow, SessionStatus


class PaymentLink(Stamped):
    """A link that anybody may pay; it outlives the request that made it, so correlation uses this table."""

    tenant_id = fields.tenant()
    billable_entity = fields.belongs_to("billing.BillableEntity")
    provider = fields.provider()
    provider_payment_link_id = fields.ref()
    operation_key = fields.ref(64)
    url = models.CharField(max_length=2048)
    active = models.BooleanField(default=True)
    line_items_json = models.JSONField(default=list)
    deactivated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "billing_payment_links"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "provider", "provider_payment_link_id"], name="payment_link_once"
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "provider", "operation_key"], name="payment_link_operation"
            ),
            models.UniqueConstraint(fields=["tenant_id", "id"], name="payment_link_in_tenant"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["billable_entity", "updated_at"], name="payment_link_recent")
        ]

    def __str__(self) -> str:
        return self.provider_payment_link_id


class CheckoutSession(Stamped, Watermarked):
    """A checkout at the provider, or the place held for one whose fate is not known yet.

    One subscription-flow session may block an entity (INV-16); states move only along 6.1 (INV-17), ids
    are filled once (INV-18), and a hold never ends earlier than it said (INV-20).
    """

    tenant_id = fields.tenant()
    billable_entity = fields.belongs_to("billing.BillableEntity")
    provider = fields.provider()
    flow = fields.word(Flow)
    provider_checkout_session_id = fields.optional_ref()
    idempotency_row = models.ForeignKey(
        "billing.BillingRequest",
        on_delete=models.SET_NULL,
        db_constraint=False,
        related_name="+",
        null=True,
        blank=True,
    )
    payment_link = fields.belongs_to("billing.PaymentLink", null=True, blank=True)
    operation_key = fields.ref(64)
    provider_customer_id = fields.optional_ref()
    provider_subscription_id = fields.optional_ref()
    status = fields.word(SessionStatus)
    checkout_url = models.TextField(null=True, blank=True)  # noqa: DJ001  (absent is NULL here)
    expires_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    status_reason = models.CharField(max_length=120, null=True, blank=True)  # noqa: DJ001  (absent is NULL here)
    last_read_at = models.DateTimeField(null=True, blank=True)
    metadata_json = fields.metadata()

    class Meta:
        db_table = "billing_checkout_sessions"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "provider", "provider_checkout_session_id"], name="checkout_session_once"
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "provider", "operation_key"],
                condition=~Q(flow=Flow.PAYMENT_LINK),
                name="checkout_session_operation",
            ),
            models.UniqueConstraint(fields=["tenant_id", "idempotency_row"], name="checkout_session_request"),
            models.UniqueConstraint(
                fields=["tenant_id", "provider", "provider_subscription_id"],
                name="checkout_session_subscription",
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "billable_entity"],
                condition=Q(flow=Flow.SUBSCRIPTION, status__in=BLOCKING),
                name="checkout_session_one_blocking",
            ),
            fields.one_of("flow", Flow, name="checkout_session_flow"),
            fields.one_of("status", SessionStatus, name="checkout_session_status"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["billable_entity", "status"], name="checkout_session_of_entity"),
            models.Index(fields=["status", "expires_at"], name="checkout_session_expiry"),
            models.Index(fields=["billable_entity", "updated_at"], name="checkout_session_recent"),
            models.Index(fields=["id"], name="checkout_session_walk", condition=Q(status__in=BLOCKING)),
            models.Index(fields=["-updated_at", "-id"], name="checkout_session_latest"),
            models.Index(fields=["operation_key"], name="checkout_session_by_operation"),
        ]
        triggers: ClassVar = [
            triggers.entity_lock_held("checkout_session"),
            triggers.immutable(
                "checkout_session",
                "tenant_id",
                "billable_entity_id",
                "provider",
                "flow",
                "operation_key",
                rule="session_correlation",
            ),
            triggers.fill_only(
                "checkout_session",
                "provider_checkout_session_id",
                "payment_link_id",
                "provider_customer_id",
                "provider_subscription_id",
                rule="session_correlation",
            ),
            triggers.SESSION_LIFE,
        ]

    def __str__(self) -> str:
        return f"{self.provider_checkout_session_id or self.operation_key}: {self.status}"
