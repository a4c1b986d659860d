"""Admin of stored replies, for looking."""

from django.contrib import admin

from settld.core.admin import ReadOnlyAdmin
from settld.idempotency.models import IdempotencyRecord


@admin.register(IdempotencyRecord)
class IdempotencyRecordAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "tenant_id", "principal_id", "route", "key", "status")
    search_fields = ("=tenant_id", "=key")
