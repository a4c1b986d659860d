"""Admin of tenants and access: for looking; changes go through the same verbs as the API."""

from collections.abc import Callable

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django_otp.plugins.otp_totp.models import TOTPDevice

from settld.core import clock, tenancy
from settld.core.admin import ReadOnlyAdmin, actor_of
from settld.core.errors import Refusal
from settld.tenants.models import AuthKey, Membership, OpsToken, SignerKey, Tenant, User
from settld.tenants.services import keys, signer_keys

# What libraries register could be changed by hand, and shows the secrets of second factors.
for model in (Group, TOTPDevice, AccessAttempt, AccessFailureLog, AccessLog):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(TOTPDevice)
class TOTPDeviceAdmin(ReadOnlyAdmin):
    list_display = ("user", "name", "confirmed", "throttling_failure_count", "last_used_at")
    list_select_related = ("user",)
    fields = ("user", "name", "confirmed", "throttling_failure_count", "last_used_at", "created_at")


@admin.register(AccessAttempt, AccessFailureLog)
class FailedLoginAdmin(ReadOnlyAdmin):
    list_display = ("attempt_time", "username", "ip_address", "user_agent")
    search_fields = ("=username", "=ip_address")
    fields = ("attempt_time", "username", "ip_address", "user_agent", "path_info")


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
        for key in queryset:
            try:
                with tenancy.tenant_scope(key.tenant_id):
                    keys.revoke(
                        tenant_id=key.tenant_id, key_id=key.key_id, actor=actor_of(request), now=clock.now()
                    )
                messages.success(request, f"{key.key_id} is revoked")
            except Refusal as refusal:
                messages.error(request, f"{key.key_id}: {refusal.message}")


@admin.register(SignerKey)
class SignerKeyAdmin(ReadOnlyAdmin):
    list_display = ("tenant_id", "key_id", "purpose", "status", "valid_from", "valid_to")
    list_filter = ("purpose", "status")
    search_fields = ("=tenant_id", "=key_id")
    actions = ("rotate", "revoke")

    @admin.action(description="Take the chosen keys out of use", permissions=["act"])
    def rotate(self, request: HttpRequest, queryset: QuerySet[SignerKey]) -> None:
        """Call the verb that the API calls."""
        self._each(request, queryset, verb=signer_keys.rotate, done="is rotated")

    @admin.action(description="Revoke the chosen keys", permissions=["act"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[SignerKey]) -> None:
        """Call the verb that the API calls."""
        self._each(request, queryset, verb=signer_keys.revoke, done="is revoked")

    def _each(
        self, request: HttpRequest, queryset: QuerySet[SignerKey], *, verb: Callable[..., object], done: str
    ) -> None:
        for key in queryset:
            try:
                with tenancy.tenant_scope(key.tenant_id):
                    verb(tenant_id=key.tenant_id, key_id=key.key_id, actor=actor_of(request), now=clock.now())
                messages.success(request, f"{key.key_id} {done}")
            except Refusal as refusal:
                messages.error(request, f"{key.key_id}: {refusal.message}")


@admin.register(OpsToken)
class OpsTokenAdmin(ReadOnlyAdmin):
    list_display = ("name", "scopes", "tenant_ids", "expires_at", "revoked_at")
    exclude = ("token_hash",)
