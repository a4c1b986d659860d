"""Who is at the console, for which tenant, and whether the page is theirs to see."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, cast
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.cache import patch_cache_control, patch_vary_headers
from django_htmx.http import HttpResponseClientRedirect

from ops_console import errors, visitors
from settld.api.errors import refusal_for
from settld.core import tenancy
from settld.core.errors import Forbidden, NotFound
from settld.core.principals import Actor, Principal
from settld.tenants.authentication import TenantSuspended
from settld.tenants.models import Tenant, User
from settld.tenants.services import memberships

SAFE = ("GET", "HEAD")
TENANT_KEY = "tenant_id"
MOST_TENANTS = 500
SECOND_FACTOR_URL = "/login/second-factor"


class NoTenant(Forbidden):
    """The person belongs to no tenant."""

    code = "NO_TENANT"

    def __init__(self) -> None:
        super().__init__("no_membership")
        self.message = "You belong to no tenant yet. Ask an owner of your tenant to add you."


@dataclass(frozen=True)
class Visit:
    """One request by one person at the console, inside one tenant."""

    user: User
    principal: Principal
    tenant: Tenant
    tenants: list[Tenant]
    now: dt.datetime
    request_id: str

    @property
    def tenant_id(self) -> str:
        """Name the active tenant."""
        return self.tenant.tenant_id

    @property
    def actor(self) -> Actor:
        """Name the person for the audit."""
        return Actor(principal_id=self.principal.principal_id, request_id=self.request_id)

    def may(self, *scopes: str) -> bool:
        """Tell whether the person holds one of the scopes here."""
        return self.principal.has_any(scopes)


View = Callable[..., HttpResponse]


def workspace(
    *scopes: str, methods: tuple[str, ...] = SAFE, reads_only: bool = False
) -> Callable[[View], View]:
    """Guard a console view, which then gets (request, visit) inside its tenant's scope.

    Any one of `scopes` opens it. A refusal becomes a page, or a fragment where htmx asks. Nothing shown
    here is kept by a browser or proxy. `reads_only` marks a POST that changes no row of the tenant, so
    that it is open in a tenant that may not act.
    """

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            if request.method not in methods:
                return HttpResponseNotAllowed(methods)
            is_write = request.method not in SAFE and not reads_only
            response = _answer(request, view, scopes=scopes, is_write=is_write, kwargs=kwargs)
            patch_cache_control(response, no_store=True, private=True)
            patch_vary_headers(response, ["Cookie", "HX-Request"])
            return response

        return guarded

    return guard


def _answer(
    request: HttpRequest,
    view: View,
    *,
    scopes: tuple[str, ...],
    is_write: bool,
    kwargs: dict[str, Any],
) -> HttpResponse:
    def work() -> HttpResponse:
        visit = open_visit(request, is_write=is_write)
        if not visit.may(*scopes):
            raise Forbidden("missing_scope")
        with tenancy.tenant_scope(visit.tenant_id):
            return view(request, visit, **kwargs)

    return answered(request, work, kwargs=kwargs)


def answered(
    request: HttpRequest, work: Callable[[], HttpResponse], *, kwargs: dict[str, Any], is_open: bool = False
) -> HttpResponse:
    """Do the work of a page for somebody who is logged in; a refusal becomes a page or a fragment.

    `is_open` says that the work itself finds out who comes without a login.
    """
    if not request.user.is_authenticated and not is_open and not visitors.has_session(request):
        return send_to_login(request)
    try:
        if any("\x00" in str(value) for value in kwargs.values()):
            raise NotFound()
        return work()
    except memberships.SecondFactorRequired:
        return go(request, f"{SECOND_FACTOR_URL}?{urlencode({'next': _here(request)})}")
    except Exception as error:
        return errors.refused(request, refusal_for(error, request_id=str(getattr(request, "request_id", ""))))


def open_visit(request: HttpRequest, *, is_write: bool, tenant_id: str = "") -> Visit:
    """Find the person's tenant of this session and what they may do in it; Forbidden when there is none.

    A page whose address names its tenant gives `tenant_id`; no other takes its place.
    """
    if not request.user.is_authenticated:
        return visit_of(request, visitors.of_session(request, tenant_id=tenant_id), is_write=is_write)
    user = request.user
    wanted = tenant_id or str(request.session.get(TENANT_KEY, ""))
    choices = tenant_choices(user, active=wanted)
    tenant = next((choice for choice in choices if choice.tenant_id == wanted), None)
    if tenant is None and tenant_id:
        raise Forbidden("no_membership")
    tenant = tenant or next(iter(choices), None)
    if tenant is None:
        raise NoTenant()
    principal = memberships.principal(
        user=user, tenant_id=tenant.tenant_id, has_second_factor=memberships.is_verified(request)
    )
    if not tenant.is_active and (is_write or not principal.is_platform):
        raise TenantSuspended()
    return Visit(
        user=user,
        principal=principal,
        tenant=tenant,
        tenants=choices,
        now=cast(dt.datetime, getattr(request, "received_at", None)),
        request_id=str(getattr(request, "request_id", "")),
    )


def visit_of(request: HttpRequest, visitor: visitors.Visitor, *, is_write: bool) -> Visit:
    """Make the visit of a program; TenantSuspended where it may not act."""
    if not visitor.tenant.is_active and is_write:
        raise TenantSuspended()
    return Visit(
        user=visitor.user,
        principal=visitor.principal,
        tenant=visitor.tenant,
        tenants=[visitor.tenant],
        now=cast(dt.datetime, getattr(request, "received_at", None)),
        request_id=str(getattr(request, "request_id", "")),
    )


def tenant_choices(user: User, *, active: str) -> list[Tenant]:
    """List the tenants that the person may look at, by name; for platform staff a bounded number of all."""
    if not user.platform_role:
        mine = memberships.active_tenants(user=user)
        return sorted(Tenant.objects.filter(tenant_id__in=mine), key=_by_name)
    found = {tenant.tenant_id: tenant for tenant in Tenant.objects.order_by("tenant_id")[:MOST_TENANTS]}
    if active and active not in found:
        found |= {tenant.tenant_id: tenant for tenant in Tenant.objects.filter(tenant_id=active)}
    return sorted(found.values(), key=_by_name)


def _by_name(tenant: Tenant) -> tuple[str, str]:
    return (str(tenant).casefold(), tenant.tenant_id)


# --- Going elsewhere ------------------------------------------------------------------------------
def send_to_login(request: HttpRequest) -> HttpResponse:
    """Ask for a login and come back."""
    return go(request, f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': _here(request)})}")


def go(request: HttpRequest, url: str) -> HttpResponse:
    """Send the whole browser page elsewhere, also when htmx asked for a fragment."""
    if getattr(request, "htmx", False):
        return HttpResponseClientRedirect(url)
    response = HttpResponseRedirect(url)
    response.status_code = 303
    return response


def _here(request: HttpRequest) -> str:
    """Name the page to come back to: for a fragment or a form the page that shows it."""
    if request.method in SAFE and not getattr(request, "htmx", False):
        return request.get_full_path()
    current = getattr(getattr(request, "htmx", None), "current_url_abs_path", None)
    return str(current or "/console")
