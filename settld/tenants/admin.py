"""Admin of tenants and access: for looking; changes go through the same verbs as the API."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from settld.core import clock
from settld.core.admin import ReadOnlyAdmin, actor_of
from settld.core.errors import Refusal
from settld.tenants.models import AuthKey, Membership, OpsToken, Tenant, User
from settld.tenants.services import keys


@admin.register(Tenant)
class TenantAdmin(ReadOnlyAdmin):
    list_display = ("tenant_id", "name", "status", "source", "requires_second_factor", "created_at")
    list_filter = ("status", "source")
    search_fields = ("tenant_id", "name")


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    list_display = ("username", "email", "platform_role", "is_active", "is_staff", "last_login")
    list_filter = ("platform_role", "is_active")
    search_fields = ("username", "email")
    exclude = ("password",)


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    list_display = ("tenant_id", "user", "role", "status", "updated_at")
    list_filter = ("role", "status")
    list_select_related = ("user",)
    search_fields = ("=tenant_id", "user__username")


@admin.register(AuthKey)
class AuthKeyAdmin(ReadOnlyAdmin):
    list_display = ("tenant_id", "key_id", "status", "scopes", "last_used_at", "expires_at")
    list_filter = ("status",)
    search_fields = ("=tenant_id", "=key_id")
    exclude = ("secret_hash",)
    actions = ("revoke",)

    @admin.action(description="Revoke the chosen keys", permissions=["act"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[AuthKey]) -> None:
        """Call the verb that the API calls."""
        from settld.core import tenancy

        for key in queryset:
            try:
                with tenancy.tenant_scope(key.tenant_id):
                    keys.revoke(
                        tenant_id=key.tenant_id, key_id=key.key_id, actor=actor_of(request), now=clock.now()
                    )
                messages.success(request, f"{key.key_id} is revoked")
            except Refusal as refusal:
                messages.error(request, f"{key.key_id}: {refusal.message}")


@admin.register(OpsToken)
class OpsTokenAdmin(ReadOnlyAdmin):
    list_display = ("name", "scopes", "tenant_ids", "expires_at", "revoked_at")
    exclude = ("token_hash",)
