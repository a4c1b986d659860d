"""POST /console/tenant and /console/theme: what this browser looks at, and how."""

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.http import url_has_allowed_host_and_scheme

from ops_console.access import TENANT_KEY, Visit, go, tenant_choices, workspace
from ops_console.shell import THEME_COOKIE
from settld.core.errors import NotFound

YEAR_SECONDS = 365 * 24 * 3600


@workspace("ops_read", "finance_read", "audit_read", methods=("POST",), reads_only=True)
def tenant(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Look at another of the person's tenants from now on."""
    wanted = request.POST.get("tenant", "")
    allowed = {choice.tenant_id for choice in tenant_choices(visit.user, active=wanted)}
    if wanted not in allowed:
        raise NotFound()
    request.session[TENANT_KEY] = wanted
    return go(request, "/console")


def theme(request: HttpRequest) -> HttpResponse:
    """Keep a light or dark choice in this browser; needs no login."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        target = "/console"
    response = HttpResponse(status=204) if getattr(request, "htmx", False) else go(request, target)
    chosen = request.POST.get("theme", "")
    if chosen in ("light", "dark"):
        response.set_cookie(
            THEME_COOKIE,
            chosen,
            max_age=YEAR_SECONDS,
            samesite="Lax",
            httponly=True,
            secure=request.is_secure(),
        )
    return response
