"""The admin's window onto all tenants: explicit, for platform staff, and audited."""

from collections.abc import Callable
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from settld.audit import services as audit
from settld.core import clock, tenancy, transactions
from settld.core.admin import is_platform_staff
from settld.core.principals import Actor, Principal
from settld.tenants.services import memberships

HOME = "tenant_default"


class AdminPlatformReads:
    """Run admin pages in the platform-wide read mode, and audit which page was read.

    Platform staff give their second factor first where the deployment asks for it, and everywhere once
    they have set one up.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith("/admin/") or not is_platform_staff(request.user):
            return self.get_response(request)
        if not memberships.is_verified(request) and (
            settings.STAFF_SECOND_FACTOR or memberships.has_second_factor(request)
        ):
            return redirect(f"/login/second-factor?next={quote(request.get_full_path())}")
        with tenancy.platform_scope(reason="admin"):
            response = self.get_response(request)
        if response.status_code == 200:
            _note(
                Actor(
                    principal_id=f"person:{request.user.pk}", request_id=getattr(request, "request_id", None)
                ),
                target_type="admin",
                target_id=request.path[:2000],
                details={"query": request.META.get("QUERY_STRING", "")[:2000]},
            )
        return response


def note_platform_read(principal: Principal, *, request_id: str, target_id: str) -> None:
    """Audit that someone read over all tenants through the API."""
    actor = Actor(principal_id=principal.principal_id, key_id=principal.key_id, request_id=request_id)
    _note(actor, target_type="api", target_id=target_id, details=None)


def _note(actor: Actor, *, target_type: str, target_id: str, details: dict[str, str] | None) -> None:
    with tenancy.tenant_scope(HOME), transactions.atomic():
        audit.append(
            tenant_id=HOME, actor=actor, action="PLATFORM_READ", target_type=target_type,
            target_id=target_id, details=details, at=clock.now(),
        )  # fmt: skip
