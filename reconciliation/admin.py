"""Reports and mismatches in the admin, for looking."""

from django.contrib import admin

from reconciliation.models import (
    InvariantCheck,
    InvariantStop,
    Mismatch,
    ProviderTransfer,
    ReconcileReport,
    StatementCursor,
    Triage,
    TriageAction,
    TriageBatch,
)
from settld.core.admin import ReadOnlyAdmin


@admin.register(ReconcileReport)
class ReconcileReportAdmin(ReadOnlyAdmin):
    """What comparisons concluded."""

    list_display = (
        "period",
        "provider_id",
        "tenant_id",
        "status",
        "report_hash",
        "created_at",
        "last_run_at",
    )
    list_filter = ("status", "provider_id", "period")
    search_fields = ("=artifact_id", "=report_hash")
    ordering = ("-last_run_at",)


@admin.register(Mismatch)
class MismatchAdmin(ReadOnlyAdmin):
    """Cases where two sides differ."""

    list_display = (
        "title",
        "tenant_id",
        "period",
        "provider_id",
        "severity",
        "first_seen_at",
        "is_still_open",
    )
    list_filter = ("severity", "source_type", "mismatch_type", "provider_id", "period")
    search_fields = ("=triage_key", "=mismatch_key")
    ordering = ("-first_seen_at",)

    @admin.display(boolean=True, description="open")
    def is_still_open(self, mismatch: Mismatch) -> bool:
        """Tell whether the case still waits."""
        return mismatch.is_open


@admin.register(Triage)
class TriageAdmin(ReadOnlyAdmin):
    """What people decided about cases."""

    list_display = (
        "triage_key",
        "tenant_id",
        "mismatch_type",
        "status",
        "owner_principal_id",
        "revision",
        "updated_at",
    )
    list_filter = ("status", "source_type", "severity")
    search_fields = ("=triage_key", "=mismatch_key")
    ordering = ("-updated_at",)


@admin.register(TriageAction)
class TriageActionAdmin(ReadOnlyAdmin):
    """Each change of a decision."""

    list_display = ("triage_key", "tenant_id", "revision", "action", "prev_status", "next_status", "at")
    search_fields = ("=triage_key",)
    ordering = ("-at",)


@admin.register(TriageBatch)
class TriageBatchAdmin(ReadOnlyAdmin):
    """Many decisions made as one."""

    list_display = ("id", "tenant_id", "kind", "act", "status", "row_count", "applied_by", "applied_at")
    list_filter = ("status", "kind", "act")
    ordering = ("-created_at",)


@admin.register(ProviderTransfer)
class ProviderTransferAdmin(ReadOnlyAdmin):
    """The provider's statement, line by line."""

    list_display = (
        "transfer_id",
        "tenant_id",
        "provider_id",
        "period",
        "amount_cents",
        "amount_reversed_cents",
        "currency",
        "attributed_by",
        "provider_created_at",
    )
    list_filter = ("attributed_by", "provider_id", "period")
    search_fields = ("=transfer_id", "=payout_key", "=destination")
    ordering = ("-provider_created_at",)


@admin.register(StatementCursor)
class StatementCursorAdmin(ReadOnlyAdmin):
    """How far the statement has been read."""

    list_display = ("source", "kind", "covered_from", "covered_to", "covered_at", "error_code", "error_at")
    ordering = ("source", "kind")


@admin.register(InvariantCheck)
class InvariantCheckAdmin(ReadOnlyAdmin):
    """The last look at each invariant."""

    list_display = (
        "name",
        "tenant_id",
        "status",
        "row_count",
        "broken_since",
        "checked_at",
        "swept_at",
        "code",
    )
    list_filter = ("status", "name")
    search_fields = ("=tenant_id", "=triage_key")
    ordering = ("name", "tenant_id")


@admin.register(InvariantStop)
class InvariantStopAdmin(ReadOnlyAdmin):
    """Breaches that payouts were stopped for."""

    list_display = ("name", "tenant_id", "triage_key", "content_hash", "is_own_stop", "stopped_at")
    list_filter = ("name", "is_own_stop")
    search_fields = ("=tenant_id", "=triage_key", "=content_hash")
    ordering = ("-stopped_at",)
