"""The money rails in the admin: for looking; submit and cancel call the verbs that the API calls."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from moneyrails.models import (
    Approval,
    ChargebackEntry,
    ConnectAccount,
    DispatchAttempt,
    DispatchCheck,
    ExposureCounter,
    MoneyRailControls,
    Movement,
    Operation,
    PartyBalance,
    PayoutOutcome,
    ProviderEvent,
)
from moneyrails.services import cancellation, submission
from settld.core import clock, money, tenancy
from settld.core.admin import ReadOnlyAdmin, actor_of
from settld.core.errors import Refusal


class _Amount(ReadOnlyAdmin):
    """Shows a row's cents as people write them."""

    @admin.display(ordering="amount_cents")
    def amount(self, row: Any) -> str:
        """Show the amount with its currency."""
        return money.show(row.amount_cents, row.currency)


@admin.register(Operation)
class OperationAdmin(_Amount):
    """Operations; a row changes only through its verbs."""

    list_display = (
        "operation_id",
        "tenant_id",
        "state",
        "amount",
        "provider_id",
        "provider_mode",
        "initiated_at",
    )
    list_filter = ("state", "provider_mode", "provider_id", "period")
    search_fields = ("=operation_id", "=provider_ref", "=party_id", "=tenant_id")
    ordering = ("-initiated_at", "-id")
    actions = ("submit_selected", "cancel_selected")

    @admin.action(description="Submit to the provider", permissions=["act"])
    def submit_selected(self, request: HttpRequest, queryset: QuerySet[Operation]) -> None:
        """Submit each selected operation by the API's verb."""
        self._each(request, queryset, submission.submit)

    @admin.action(description="Cancel", permissions=["act"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Operation]) -> None:
        """Cancel each selected operation by the API's verb."""
        self._each(request, queryset, cancellation.cancel)

    def _each(self, request: HttpRequest, queryset: QuerySet[Operation], verb: Callable[..., Any]) -> None:
        for operation in queryset:
            try:
                with tenancy.tenant_scope(operation.tenant_id):
                    done = verb(
                        tenant_id=operation.tenant_id,
                        provider_id=operation.provider_id,
                        operation_id=operation.operation_id,
                        actor=actor_of(request),
                        now=clock.now(),
                    )
            except Refusal as refusal:
                self.message_user(request, f"{operation}: {refusal.message} ({refusal.code})", messages.ERROR)
            else:
                said = done.operation.state if done.applied else f"unchanged ({done.operation.state})"
                self.message_user(request, f"{operation}: {said}", messages.SUCCESS)


@admin.register(DispatchAttempt)
class DispatchAttemptAdmin(ReadOnlyAdmin):
    """Attempts, the newest first."""

    list_display = ("idempotency_key", "tenant_id", "attempt", "status", "first_sent_at", "observed_ref")
    list_filter = ("status",)
    search_fields = ("=idempotency_key", "=observed_ref")
    ordering = ("-created_at",)


@admin.register(DispatchCheck)
class DispatchCheckAdmin(ReadOnlyAdmin):
    """Each look at an attempt of unknown outcome."""

    list_display = ("attempt", "kind", "outcome", "checked_by", "checked_at")
    list_filter = ("kind", "outcome")
    search_fields = ("=attempt__idempotency_key", "=checked_by")
    ordering = ("-checked_at",)
    list_select_related = ("attempt",)


@admin.register(ProviderEvent)
class ProviderEventAdmin(ReadOnlyAdmin):
    """Provider events, refused ones too."""

    list_display = ("event_type", "tenant_id", "outcome", "refusal_code", "event_id", "source", "received_at")
    list_filter = ("event_type", "outcome", "source")
    search_fields = ("=event_id", "=provider_ref")
    ordering = ("-received_at", "-id")


@admin.register(Movement)
class MovementAdmin(_Amount):
    """Money that moved."""

    list_display = ("kind", "tenant_id", "amount", "provider_id", "provider_ref", "reference_type", "at")
    list_filter = ("kind", "provider_mode", "provider_id")
    search_fields = ("=provider_ref", "=reference_id")
    ordering = ("-recorded_at",)


@admin.register(ChargebackEntry)
class ChargebackEntryAdmin(_Amount):
    """The ledger of reversed payouts."""

    list_display = ("kind", "tenant_id", "party_id", "amount", "provider_mode", "recorded_by", "at")
    list_filter = ("kind", "provider_mode")
    search_fields = ("=party_id", "=payout_key")
    ordering = ("-recorded_at",)


@admin.register(PartyBalance)
class PartyBalanceAdmin(ReadOnlyAdmin):
    """What parties owe."""

    list_display = ("party_id", "tenant_id", "outstanding_cents", "currency", "provider_mode", "updated_at")
    list_filter = ("provider_mode", "currency")
    search_fields = ("=party_id",)


@admin.register(PayoutOutcome)
class PayoutOutcomeAdmin(ReadOnlyAdmin):
    """What became of each payout key."""

    list_display = ("payout_key", "tenant_id", "kind", "provider_id", "created_at")
    list_filter = ("kind", "provider_id")
    search_fields = ("=payout_key", "=party_id")
    ordering = ("-created_at",)


@admin.register(ExposureCounter)
class ExposureCounterAdmin(ReadOnlyAdmin):
    """Exposure by day."""

    list_display = ("day_key", "tenant_id", "provider_mode", "amount_cents", "operation_count")
    list_filter = ("provider_mode",)
    ordering = ("-day_key",)


@admin.register(MoneyRailControls)
class MoneyRailControlsAdmin(ReadOnlyAdmin):
    """Controls; they are set through the plan route, which audits them."""

    list_display = (
        "tenant_id", "real_money_enabled", "payout_kill_switch", "max_payout_amount_cents",
        "daily_payout_limit_cents", "configured_at",
    )  # fmt: skip
    list_filter = ("real_money_enabled", "payout_kill_switch")
    search_fields = ("=tenant_id",)


@admin.register(ConnectAccount)
class ConnectAccountAdmin(ReadOnlyAdmin):
    """Connect accounts."""

    list_display = ("account_id", "tenant_id", "party_id", "status", "kyb_status", "is_default", "updated_at")
    list_filter = ("status", "kyb_status")
    search_fields = ("=account_id", "=party_id")


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    """Changes that wait for a second person; the console and the API decide them."""

    list_display = ("requested_at", "tenant_id", "kind", "status", "requested_by", "decided_by")
    list_filter = ("status", "kind")
    search_fields = ("=id", "=requested_by", "=decided_by")
    ordering = ("-requested_at",)
