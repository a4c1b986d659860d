"""Maintenance in the admin, for looking."""

from django.contrib import admin

from settld.core.admin import ReadOnlyAdmin
from settld.maintenance.models import MaintenanceRun, MaintenanceState


@admin.register(MaintenanceRun)
class MaintenanceRunAdmin(ReadOnlyAdmin):
    """The history of runs."""

    list_display = ("kind", "tenant_id", "scope", "outcome", "started_at", "runtime_ms", "code")
    list_filter = ("kind", "outcome", "scope")
    search_fields = ("=tenant_id", "=request_id")
    ordering = ("-started_at",)


@admin.register(MaintenanceState)
class MaintenanceStateAdmin(ReadOnlyAdmin):
    """Where each kind stands."""

    list_display = ("kind", "tenant_id", "outcome", "last_run_at", "last_success_at", "next_eligible_at")
    list_filter = ("kind", "outcome")
    search_fields = ("=tenant_id",)
    ordering = ("kind", "tenant_id")
