"""Who is at a workspace's billing page, and what they may do there."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, cast

from csp.decorators import csp_update
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import reverse
from django.utils.cache import patch_cache_control, patch_vary_headers

from billing import clock
from billing.models import BillableEntity
from billing.services import policy
from billing.services.policy import EntityAccess, Selectors
from billing.services.principals import Caller
from billing.states import PrincipalType
from ops_console.access import SAFE, TENANT_KEY, Visit, answered, open_visit
from ops_console.workspace_billing import origins
from settld.core import tenancy
from settld.core.errors import NotFound
from settld.core.principals import Actor
from settld.tenants.models import User
from settld.tenants.services import memberships


@dataclass(frozen=True)
class Desk:
    """One request about one workspace's billing; `now` is the clock that leases and expiries run by."""

    visit: Visit
    access: EntityAccess
    now: dt.datetime

    @property
    def entity(self) -> BillableEntity:
        """Give whose billing it is."""
        return self.access.entity

    @property
    def tenant_id(self) -> str:
        """Name the workspace."""
        return self.access.tenant_id

    @property
    def may_write(self) -> bool:
        """Tell whether the page offers anything to do."""
        return self.access.can_manage and self.entity.is_active

    def href(self, name: str = "billing", **places: Any) -> str:
        """Give the address of one of this workspace's billing pages or acts."""
        return reverse(f"console:{name}", kwargs={"slug": self.tenant_id, **places})


View = Callable[..., HttpResponse]


def billing_page(*, methods: tuple[str, ...] = SAFE) -> Callable[[View], View]:
    """Guard a view of a workspace's billing, which then gets (request, desk) inside the workspace's scope.

    Members look; anything but a read needs workspace.billing.manage and an active entity. The workspace is
    the one that the address names, whatever this browser looked at before. Forms may lead to the provider.
    """

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, slug: str, **kwargs: Any) -> HttpResponse:
            if request.method not in methods:
                return HttpResponseNotAllowed(methods)

            def work() -> HttpResponse:
                desk = _open(request, slug)
                with tenancy.tenant_scope(desk.tenant_id):
                    return view(request, desk, **kwargs)

            response = answered(request, work, kwargs={"slug": slug, **kwargs})
            patch_cache_control(response, no_store=True, private=True)
            patch_vary_headers(response, ["Cookie", "HX-Request"])
            led_on = csp_update({"form-action": origins.allowed()})(lambda _request: response)
            return cast(HttpResponse, led_on(request))

        return guarded

    return guard


def _open(request: HttpRequest, slug: str) -> Desk:
    if not settings.BILLING.enabled:
        raise NotFound()
    is_write = request.method not in SAFE
    access = policy.resolve(caller_of(request), Selectors(workspace_slug=slug), write=is_write)
    visit = open_visit(request, is_write=is_write, tenant_id=access.tenant_id)
    return Desk(visit=visit, access=access, now=clock.now())


def caller_of(request: HttpRequest) -> Caller:
    """Name the person who is logged in, as the policy of billing knows people."""
    user = cast(User, request.user)
    return Caller(
        kind=PrincipalType.USER,
        actor=Actor(
            principal_id=f"person:{user.pk}", request_id=getattr(request, "request_id", None) or None
        ),
        grant_id=str(user.pk),
        user_id=user.pk,
        has_second_factor=memberships.is_verified(request),
    )


def remember(request: HttpRequest, desk: Desk) -> None:
    """Look at this workspace in the rest of the console, too: its frame shows its links."""
    if request.session.get(TENANT_KEY) != desk.tenant_id:
        request.session[TENANT_KEY] = desk.tenant_id
