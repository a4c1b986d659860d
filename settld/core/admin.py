"""Admin manners: rows are for looking, and what may be seen is what the database lets the person see."""

from typing import Any, cast

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from settld.core.principals import Actor


def actor_of(request: HttpRequest) -> Actor:
    """Name the person behind an admin action."""
    return Actor(principal_id=f"person:{request.user.pk}", request_id=getattr(request, "request_id", None))


def is_platform_staff(user: Any) -> bool:
    """Tell whether a person may see every tenant's rows; Django's superuser flag alone is not enough."""
    return bool(user.is_active and user.is_staff and getattr(user, "platform_role", ""))


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]  # untyped base
    """Refuses add, change and delete; an action calls the verb that the API calls.

    The admin is for platform staff. Its pages run in the platform-wide read mode that the admin
    middleware enters and audits; writes go through services, which enter the tenant's scope.
    """

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_platform_staff(request.user)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may run actions that change something."""
        return getattr(request.user, "platform_role", "") == "admin"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        return cast(QuerySet[Model], super().get_queryset(request))
