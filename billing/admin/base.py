"""Rows that operators keep by hand: who may change them, and the audit row of each change."""

from typing import Any

from django.http import HttpRequest
from unfold.admin import TabularInline

from billing.services import console_audit
from settld.core import tenancy
from settld.core.admin import ReadOnlyAdmin, actor_of


class Kept(ReadOnlyAdmin):
    """Rows that platform admins may add and change, never delete; `fixed` is only given once."""

    fixed: tuple[str, ...] = ()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_act_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_act_permission(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        stamps = ("created_at", "updated_at")
        return stamps if obj is None else (*self.fixed, *stamps)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        self.write(obj, change=change)
        with tenancy.tenant_scope(console_audit.HOME):
            console_audit.append(
                actor=actor_of(request),
                action="BILLING_ADMIN_CHANGE" if change else "BILLING_ADMIN_ADD",
                target_type=obj._meta.model_name,
                target_id=str(obj.pk),
                details={"changed": sorted(form.changed_data)},
            )

    def write(self, obj: Any, *, change: bool) -> None:
        """Save the row."""
        obj.save()


class Part(TabularInline):  # type: ignore[misc]  # untyped base
    """Rows of a row that is kept by hand; whoever may change that one may add and change them."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return getattr(request.user, "platform_role", "") == "admin"

    has_change_permission = has_add_permission

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
