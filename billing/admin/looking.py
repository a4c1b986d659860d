"""Every other table: rows are for looking, and change by their verbs only."""

from django.contrib import admin
from django.db.models import Model

from billing.models import (
    BillableEntity,
    BillingOutboxJob,
    BillingRequest,
    CheckoutSession,
    Customer,
    Entitlement,
    Invoice,
    OrganizationMembership,
    Payment,
    PaymentLink,
    PaymentMethod,
    PaymentMethodSync,
    PlanPrice,
    ProviderRef,
    ReconciliationRun,
    Remediation,
    Subscription,
    SubscriptionItem,
    UsageCounter,
    UsageEvent,
)
from settld.core import money
from settld.core.admin import ReadOnlyAdmin


@admin.register(BillableEntity)
class BillableEntityAdmin(ReadOnlyAdmin):
    """Who is billed."""

    list_display = ("id", "tenant_id", "entity_type", "entity_ref", "workspace_id", "status", "updated_at")
    list_filter = ("entity_type", "status")
    search_fields = ("=id", "=tenant_id", "=entity_ref")


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    """Subscriptions as the provider has them."""

    list_display = (
        "provider_subscription_id",
        "tenant_id",
        "plan",
        "status",
        "is_current",
        "current_period_end",
    )
    list_filter = ("status", "is_current")
    list_select_related = ("plan",)
    search_fields = ("=provider_subscription_id", "=tenant_id")


@admin.register(BillingRequest)
class BillingRequestAdmin(ReadOnlyAdmin):
    """Idempotent requests."""

    list_display = (
        "id",
        "tenant_id",
        "action",
        "status",
        "failure_code",
        "recovery_attempt_count",
        "updated_at",
    )
    list_filter = ("action", "status", "failure_code")
    search_fields = ("=operation_key", "=tenant_id", "=provider_session_id")
    exclude = ("provider_idempotency_key",)


@admin.register(CheckoutSession)
class CheckoutSessionAdmin(ReadOnlyAdmin):
    """Checkouts and holds."""

    list_display = ("id", "tenant_id", "flow", "status", "provider_checkout_session_id", "expires_at")
    list_filter = ("flow", "status")
    search_fields = ("=provider_checkout_session_id", "=operation_key", "=tenant_id")


@admin.register(Invoice)
class InvoiceAdmin(ReadOnlyAdmin):
    """Invoices as the provider has them."""

    list_display = ("provider_invoice_id", "tenant_id", "status", "due", "paid", "issued_at")
    list_filter = ("status", "currency")
    search_fields = ("=provider_invoice_id", "=tenant_id")

    @admin.display(ordering="amount_due_minor")
    def due(self, invoice: Invoice) -> str:
        """Show what is asked for."""
        return money.show(invoice.amount_due_minor, invoice.currency)

    @admin.display(ordering="amount_paid_minor")
    def paid(self, invoice: Invoice) -> str:
        """Show what was paid."""
        return money.show(invoice.amount_paid_minor, invoice.currency)


@admin.register(ReconciliationRun)
class ReconciliationRunAdmin(ReadOnlyAdmin):
    """Comparisons with the provider."""

    list_display = (
        "scope",
        "status",
        "started_at",
        "scanned_count",
        "drift_detected_count",
        "repaired_count",
    )
    list_filter = ("scope", "status")


@admin.register(BillingOutboxJob)
class BillingOutboxJobAdmin(ReadOnlyAdmin):
    """Effects owed to the provider."""

    list_display = ("job_type", "tenant_id", "status", "attempt_count", "available_at", "dedupe_key")
    list_filter = ("job_type", "status")
    search_fields = ("=dedupe_key", "=tenant_id", "=operation_key")


@admin.register(Remediation)
class RemediationAdmin(ReadOnlyAdmin):
    """Duplicates to be cancelled."""

    list_display = (
        "duplicate_provider_subscription_id",
        "tenant_id",
        "status",
        "attempt_count",
        "resolved_at",
    )
    list_filter = ("status",)
    search_fields = ("=duplicate_provider_subscription_id", "=tenant_id")


def _look_at(model: type[Model], *columns: str, search: tuple[str, ...] = ()) -> None:
    """Register a table that is for looking and needs no words of its own."""
    options = {"list_display": columns, "search_fields": search}
    admin.site.register(model, type(f"{model.__name__}Admin", (ReadOnlyAdmin,), options))


_look_at(
    Customer, "provider_customer_id", "tenant_id", "origin", "is_primary", search=("=provider_customer_id",)
)
_look_at(
    PaymentMethod, "provider_payment_method_id", "tenant_id", "type", "brand", "last4", "status",
    search=("=provider_payment_method_id",),
)  # fmt: skip
_look_at(PaymentMethodSync, "event_type", "tenant_id", "status", "processed_at", search=("=tenant_id",))
_look_at(
    PaymentLink, "provider_payment_link_id", "tenant_id", "active", search=("=provider_payment_link_id",)
)
_look_at(
    Payment, "provider_payment_id", "tenant_id", "status", "amount_minor", "currency",
    search=("=provider_payment_id",),
)  # fmt: skip
_look_at(
    SubscriptionItem, "provider_subscription_item_id", "tenant_id", "billing_component", "is_active",
    search=("=provider_subscription_item_id",),
)  # fmt: skip
_look_at(PlanPrice, "provider_price_id", "plan", "is_active", search=("=provider_price_id",))
_look_at(Entitlement, "plan", "code", "schema_version", search=("=code",))
_look_at(ProviderRef, "kind", "ref", "tenant_id", "billable_entity_id", search=("=ref",))
_look_at(OrganizationMembership, "organization", "user", "role", "status")
_look_at(
    UsageCounter, "entitlement_code", "tenant_id", "usage_count", "window_start_at", "window_end_at",
    search=("=tenant_id",),
)  # fmt: skip
_look_at(
    UsageEvent, "entitlement_code", "tenant_id", "amount", "state", "created_at",
    search=("=usage_event_key", "=tenant_id"),
)  # fmt: skip
