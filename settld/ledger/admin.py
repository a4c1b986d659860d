"""Periods and the journal in the admin, for looking."""

from django.contrib import admin

from settld.core import money
from settld.core.admin import ReadOnlyAdmin
from settld.ledger.models import (
    Allocation,
    Balance,
    JournalEntry,
    LedgerAccount,
    MonthClose,
    MonthEvent,
    Posting,
)


@admin.register(MonthClose)
class MonthCloseAdmin(ReadOnlyAdmin):
    """Months and whether they are closed."""

    list_display = (
        "month",
        "tenant_id",
        "status",
        "request_pending",
        "generation",
        "closed_at",
        "updated_at",
    )
    list_filter = ("status", "request_pending", "month")
    search_fields = ("=tenant_id", "=month")
    ordering = ("-month", "tenant_id")


@admin.register(MonthEvent)
class MonthEventAdmin(ReadOnlyAdmin):
    """The chained events of months."""

    list_display = ("event_id", "tenant_id", "stream_id", "seq", "type", "at")
    list_filter = ("type",)
    search_fields = ("=event_id", "=tenant_id", "=stream_id")
    ordering = ("-at",)


@admin.register(LedgerAccount)
class LedgerAccountAdmin(ReadOnlyAdmin):
    """Accounts of all books."""

    list_display = ("account_id", "tenant_id", "book", "is_exact", "display_name", "created_at")
    list_filter = ("book", "is_exact")
    search_fields = ("=account_id", "=tenant_id")
    ordering = ("tenant_id", "account_id")


@admin.register(JournalEntry)
class JournalEntryAdmin(ReadOnlyAdmin):
    """Journal entries."""

    list_display = ("entry_id", "tenant_id", "book", "period", "at", "memo", "source_type", "source_id")
    list_filter = ("book", "source_type")
    search_fields = ("=entry_id", "=tenant_id", "=source_id")
    ordering = ("-id",)


class _Amounts(ReadOnlyAdmin):
    """Rows with an amount, which is shown with its currency."""

    ordering = ("-id",)

    @admin.display(ordering="amount_cents")
    def amount(self, row: Posting | Allocation | Balance) -> str:
        return money.show(row.amount_cents, row.currency)


@admin.register(Posting)
class PostingAdmin(_Amounts):
    """The lines of entries."""

    list_display = ("entry_id", "posting_no", "tenant_id", "account_id", "amount", "at")
    list_filter = ("book",)
    search_fields = ("=entry_id", "=account_id", "=tenant_id")


@admin.register(Allocation)
class AllocationAdmin(_Amounts):
    """Whose the lines are."""

    list_display = ("entry_id", "posting_no", "tenant_id", "party_id", "party_role", "account_id", "amount")
    list_filter = ("party_role",)
    search_fields = ("=entry_id", "=party_id", "=tenant_id")


@admin.register(Balance)
class BalanceAdmin(_Amounts):
    """The parts of what stands on accounts."""

    list_display = ("account_id", "tenant_id", "bucket", "shard", "amount")
    search_fields = ("=account_id", "=tenant_id", "=bucket")
