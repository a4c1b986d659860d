"""Admin of the audit chain, for looking."""

from django.contrib import admin

from settld.audit.models import OpsAudit, OpsAuditCheckpoint, OpsAuditHead
from settld.core.admin import ReadOnlyAdmin


@admin.register(OpsAudit)
class OpsAuditAdmin(ReadOnlyAdmin):
    list_display = ("at", "tenant_id", "seq", "action", "target_type", "target_id", "actor_principal_id")
    list_filter = ("action", "target_type")
    search_fields = ("=tenant_id", "=target_id", "=request_id", "=actor_principal_id")
    ordering = ("-id",)


@admin.register(OpsAuditHead)
class OpsAuditHeadAdmin(ReadOnlyAdmin):
    list_display = ("tenant_id", "seq", "row_hash")


@admin.register(OpsAuditCheckpoint)
class OpsAuditCheckpointAdmin(ReadOnlyAdmin):
    list_display = ("tenant_id", "day_key", "seq", "row_hash", "key_id")
