"""Outbox jobs in the admin: looking, and bringing dead letters back."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from settld.core import tenancy
from settld.core.admin import ReadOnlyAdmin
from settld.outbox import services
from settld.outbox.models import OutboxJob


@admin.register(OutboxJob)
class OutboxJobAdmin(ReadOnlyAdmin):
    """Owed effects; the one action is the verb that a repeated request calls too."""

    list_display = ("kind", "tenant_id", "status", "attempt_count", "available_at", "dedupe_key")
    list_filter = ("status", "kind")
    search_fields = ("=dedupe_key", "=id")
    ordering = ("-created_at",)
    actions = ("requeue",)

    @admin.action(description="Make due again, attempts counted anew")
    def requeue(self, request: HttpRequest, queryset: QuerySet[OutboxJob]) -> None:
        """Bring the chosen jobs back."""
        moved = 0
        for tenant_id, dedupe_key in list(queryset.values_list("tenant_id", "dedupe_key")[:1000]):
            with tenancy.tenant_scope(tenant_id):
                moved += services.requeue(tenant_id=tenant_id, dedupe_key=dedupe_key)
        self.message_user(request, f"{moved} jobs are due again.", messages.SUCCESS)
