"""Periods in the admin, for looking."""

from django.contrib import admin

from settld.core.admin import ReadOnlyAdmin
from settld.ledger.models import MonthClose, MonthEvent


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
