"""Statements in the admin, for looking."""

from django.contrib import admin

from settld.closing.models import (
    FinanceAccountMap,
    FinancePack,
    GovernanceEvent,
    MonthDocument,
    PartyStatement,
    StatementImport,
)
from settld.core import money
from settld.core.admin import ReadOnlyAdmin


@admin.register(PartyStatement)
class PartyStatementAdmin(ReadOnlyAdmin):
    """What parties are owed; superseded rows are the history."""

    list_display = (
        "party_id",
        "tenant_id",
        "period",
        "party_role",
        "amount",
        "status",
        "generation",
        "superseded_at",
    )
    list_filter = ("status", "source", "party_role", "period")
    search_fields = ("=party_id", "=statement_hash", "=tenant_id")
    ordering = ("-updated_at",)

    @admin.display(ordering="payout_cents")
    def amount(self, statement: PartyStatement) -> str:
        """Show what is owed."""
        return money.show(statement.payout_cents, statement.currency)


@admin.register(StatementImport)
class StatementImportAdmin(ReadOnlyAdmin):
    """Files of statements that were imported."""

    list_display = (
        "file_name", "tenant_id", "row_count", "new_count", "replaced_count", "imported_by", "imported_at",
    )  # fmt: skip
    search_fields = ("=file_hash", "=imported_by", "=tenant_id")
    ordering = ("-imported_at",)


@admin.register(MonthDocument)
class MonthDocumentAdmin(ReadOnlyAdmin):
    """Which artifact is which document of a close."""

    list_display = ("month", "tenant_id", "kind", "generation", "artifact_id", "superseded_at")
    list_filter = ("kind", "month")
    search_fields = ("=artifact_id", "=artifact_hash", "=tenant_id")
    ordering = ("-created_at",)


@admin.register(FinancePack)
class FinancePackAdmin(ReadOnlyAdmin):
    """Finance packs; their bytes are downloaded through the API."""

    list_display = ("month", "tenant_id", "bundle_hash", "byte_count", "created_at")
    fields = ("tenant_id", "month", "bundle_hash", "byte_count", "created_at")
    search_fields = ("=bundle_hash", "=tenant_id")
    ordering = ("-created_at",)


@admin.register(FinanceAccountMap)
class FinanceAccountMapAdmin(ReadOnlyAdmin):
    """What tenants' own books call our accounts."""

    list_display = ("tenant_id", "mapping_hash", "updated_at")
    search_fields = ("=tenant_id",)
    ordering = ("tenant_id",)


@admin.register(GovernanceEvent)
class GovernanceEventAdmin(ReadOnlyAdmin):
    """What tenants decided about how their books are kept."""

    list_display = ("event_id", "tenant_id", "type", "effective_from", "at")
    search_fields = ("=event_id", "=tenant_id")
    ordering = ("-at",)
