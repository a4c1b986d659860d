"""Statements in the admin, for looking."""

from django.contrib import admin

from settld.closing.models import PartyStatement, StatementImport
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
