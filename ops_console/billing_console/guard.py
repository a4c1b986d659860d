"""Who may see the pages below /console/billing: operators of the deployment, each by a right of its own."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from billing.services import console_audit, permissions
from ops_console.access import SAFE, View, Visit, workspace
from settld.core.errors import NotFound, Refusal
from settld.tenants.services import memberships

METHODS = ("GET", "HEAD", "POST")


class ConsolePermissionRequired(Refusal):
    """The person is no operator of the deployment, or one without this right."""

    status = 403
    code = "CONSOLE_PERMISSION_REQUIRED"
    message = "This page is for operators of the deployment, and asks for a right that you do not hold"


def rights_of(visit: Visit) -> frozenset[str]:
    """Give the `console.billing.*` rights of the person; none while checkout billing is switched off."""
    return permissions.of_staff(visit.user.platform_role) if settings.BILLING.enabled else frozenset()


def billing_page(right: str, *, methods: tuple[str, ...] = SAFE) -> Callable[[View], View]:
    """Guard a page over all tenants with one right; billing switched off, there is no such page.

    As in the admin, the person gives a second factor first where the deployment asks for one, and
    everywhere once they have set one up.
    """

    def guard(view: View) -> View:
        @workspace("ops_read", "finance_read", "audit_read", methods=methods)
        @wraps(view)
        def guarded(request: HttpRequest, visit: Visit, **kwargs: Any) -> HttpResponse:
            require(request, visit, right)
            return view(request, visit, **kwargs)

        return guarded

    return guard


def require(request: HttpRequest, visit: Visit, right: str) -> None:
    """Let the holder of a right pass, or raise NotFound, ConsolePermissionRequired, SecondFactorRequired."""
    if not settings.BILLING.enabled:
        raise NotFound()
    if right not in rights_of(visit):
        raise ConsolePermissionRequired(details={"permission": right})
    if not memberships.is_verified(request) and (
        settings.STAFF_SECOND_FACTOR or memberships.has_second_factor(request)
    ):
        raise memberships.SecondFactorRequired()


def note_read(request: HttpRequest, visit: Visit) -> None:
    """Write the audit row of a look over all tenants, with what was looked for."""
    query = request.META.get("QUERY_STRING", "")[:2000]
    note(
        visit,
        action="PLATFORM_READ",
        target_type="console",
        target_id=request.path[:2000],
        details={"query": query} if query else None,
    )


def note(
    visit: Visit, *, action: str, target_type: str, target_id: str, details: dict[str, Any] | None = None
) -> None:
    """Write the audit row of an act on the whole deployment, in a transaction of its own."""
    with console_audit.act():
        console_audit.append(
            actor=visit.actor, action=action, target_type=target_type, target_id=target_id, details=details
        )
