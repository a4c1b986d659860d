"""The base view: authentication, scope, limits, protocol and body, in the order of P4.6."""

from typing import Any, ClassVar

import structlog
from django.http import HttpRequest, HttpResponse
from rest_framework.views import APIView

from settld.api import errors, requests
from settld.api.exchange import exchange
from settld.core import clock, tenancy
from settld.core.errors import Forbidden, Invalid, NotFound
from settld.core.principals import Actor, Principal

SAFE = frozenset({"GET", "HEAD"})
HANDLED = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
MONEY = ("finance_write",)


class OpsView(APIView):
    """One route of the ops plane; a handler is named after its method and answers `Json`.

    `scopes` maps a method to the scopes of which any one suffices. The handler runs with the tenant
    scope entered and finds principal, tenant_id, actor, received_at and body_json on the request.
    A write that only finance_write opens must name the protocol where the deployment requires it.
    """

    scopes: ClassVar[dict[str, tuple[str, ...]]] = {}
    family: ClassVar[str] = "ops"
    reads_raw_body: ClassVar[bool] = False
    requires_protocol: ClassVar[bool] = False
    makes_tenant: ClassVar[bool] = False

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        self.request, self.args, self.kwargs = request, args, kwargs
        if not hasattr(request, "request_id"):  # a view called without the middleware, as some tests do
            request.request_id, request.received_at = "", clock.now()
        try:
            return self._answer(request, kwargs)
        except Exception as error:
            return errors.render(errors.refusal_for(error, request_id=request.request_id), family=self.family)

    def _answer(self, request: Any, kwargs: dict[str, Any]) -> HttpResponse:
        tenant_id = self.tenant_of(request, kwargs)
        requests.principal_label(request)
        method = request.method
        principal = authenticate(request, tenant_id=tenant_id, is_write=method not in SAFE)
        handler = getattr(self, ("get" if method == "HEAD" else method.lower()), None)
        if method not in HANDLED or handler is None:
            raise NotFound()
        if not principal.has_any(self.scopes["GET" if method == "HEAD" else method]):
            raise Forbidden("missing_scope")
        if any("\x00" in value for value in kwargs.values() if isinstance(value, str)):
            raise NotFound()
        if "%00" in request.META.get("QUERY_STRING", ""):
            raise Invalid("query parameters may not hold NUL")
        moves_money = self.requires_protocol or self.scopes.get(method) == MONEY
        requests.require_protocol(request, is_required=moves_money and method not in SAFE)
        request.principal = principal
        request.tenant_id = principal.tenant_id
        request.actor = Actor(
            principal_id=principal.principal_id, key_id=principal.key_id, request_id=request.request_id
        )
        with tenancy.tenant_scope(principal.tenant_id):
            if method in SAFE:
                request.body_json = {}
            else:
                self.before_body(request, kwargs)
                request.body_json = requests.json_body(request, any_media_type=self.reads_raw_body)
                if not principal.is_tenant_known and not self.makes_tenant:
                    exchange.make_tenant(principal.tenant_id)
            response: HttpResponse = handler(request, **kwargs)
        return response

    def tenant_of(self, request: HttpRequest, kwargs: dict[str, Any]) -> str:
        """Name the tenant that the call is about; the v1 plane takes it from the path."""
        return requests.tenant_id(request)

    def before_body(self, request: Any, kwargs: dict[str, Any]) -> None:
        """Check what must be checked on the raw bytes, before they are parsed."""


def authenticate(request: HttpRequest, *, tenant_id: str, is_write: bool) -> Principal:
    """Find out who calls, and charge the right bucket."""
    if exchange.authenticate is None or exchange.rate_limiter is None:
        raise RuntimeError("no authenticator is registered")
    try:
        principal = exchange.authenticate(request, tenant_id=tenant_id, is_write=is_write)
    except Forbidden:
        exchange.rate_limiter.spend_unauthenticated(request.META.get("REMOTE_ADDR", ""))
        raise
    exchange.rate_limiter.spend(principal)
    structlog.contextvars.bind_contextvars(tenant_id=principal.tenant_id, principal_id=principal.principal_id)
    return principal


def unknown_path(request: HttpRequest, **_kwargs: Any) -> HttpResponse:
    """Answer a path we do not have: 403 before 404, so that a stranger learns nothing."""
    try:
        requests.principal_label(request)
        authenticate(request, tenant_id=requests.tenant_id(request), is_write=False)
        raise NotFound()
    except Exception as error:
        return errors.render(errors.refusal_for(error, request_id=getattr(request, "request_id", "")))


unknown_path.csrf_exempt = True  # type: ignore[attr-defined]
