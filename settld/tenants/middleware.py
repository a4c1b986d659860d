"""The admin's window onto all tenants: explicit, for platform staff, and audited."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from settld.audit import services as audit
from settld.core import clock, tenancy, transactions
from settld.core.principals import Actor

HOME = "tenant_default"


class AdminPlatformReads:
    """Run admin pages in the platform-wide read mode, and audit which page was read."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if (
            not request.path.startswith("/admin")
            or not request.user.is_authenticated
            or not request.user.is_staff
        ):
            return self.get_response(request)
        with tenancy.platform_scope(reason="admin"):
            response = self.get_response(request)
        if response.status_code == 200:
            with tenancy.tenant_scope(HOME), transactions.atomic():
                audit.append(
                    tenant_id=HOME,
                    actor=Actor(
                        principal_id=f"person:{request.user.pk}",
                        request_id=getattr(request, "request_id", None),
                    ),
                    action="PLATFORM_READ",
                    target_type="admin",
                    target_id=request.path[:2000],
                    details={"query": request.META.get("QUERY_STRING", "")[:2000]},
                    at=clock.now(),
                )
        return response
