"""Reports and mismatches in the admin, for looking."""

from django.contrib import admin

from reconciliation.models import Mismatch, ReconcileReport
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
