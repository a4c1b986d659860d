"""The frame of /api/billing/*: who calls, a body of the right size, and whose billing it is (spec 7.1).

A handler checks in this order, and the base view makes the first step for it:

    401 (and 404 while billing is off)   the frame
    body and query schema                schema.Reader(request.body_json) ... .finish()
    idempotency key                      idempotency_key.required(request)
    paths and values                     paths.require(successPath=...)
    entity                               self.entity(request, write=True)
    claim                                the service
"""

import contextlib
import datetime as dt
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from billing.api import principal
from billing.api.errors import NotFound, ValidationFailed
from billing.services import policy
from billing.services.policy import EntityAccess, Selectors
from billing.services.principals import Caller
from settld.api import requests
from settld.api.views import HANDLED, SAFE, OpsView
from settld.core import tenancy
from settld.core.errors import Invalid
from settld.core.principals import Actor

BODY_MAX_BYTES = 65_536
READ = ("audit_read", "finance_read", "ops_read")
WRITE = ("finance_write",)


class BillingRequest(HttpRequest):
    """What a handler may rely on; the base view fills it."""

    request_id: str
    received_at: dt.datetime
    caller: Caller
    actor: Actor
    body_json: dict[str, Any]
    scopes_entered: contextlib.ExitStack


class BillingView(OpsView):
    """One route of /api/billing/*; a handler is named after its method and answers `Json`.

    `scopes` describes what an API client needs, per method; policy decides. Refusals are rendered in the
    family's body. The handler starts outside any tenant scope and any transaction.
    """

    family: ClassVar[str] = "billing"
    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"GET": READ}

    def _answer(self, request: Any, kwargs: dict[str, Any]) -> HttpResponse:
        if not settings.BILLING.enabled:
            raise NotFound()
        request.caller = principal.of(request)
        request.actor = request.caller.actor
        handler = getattr(self, ("get" if request.method == "HEAD" else request.method.lower()), None)
        if request.method not in HANDLED or handler is None:
            raise NotFound()
        self.permit(request.caller)
        if any("\x00" in value for value in kwargs.values() if isinstance(value, str)):
            raise NotFound()
        _require_plain_query(request)
        requests.require_protocol(request, is_required=False)
        request.body_json = {} if request.method in SAFE else _body(request)
        with contextlib.ExitStack() as request.scopes_entered:
            response: HttpResponse = handler(request, **kwargs)
        return response

    def permit(self, caller: Caller) -> None:
        """Refuse a caller who may not use the route at all; entities are judged later."""

    def entity(self, request: BillingRequest, *, write: bool = False) -> EntityAccess:
        """Find the entity that the request is about, and enter its tenant's scope until the answer is made.

        Raises the refusals of section 3. May make the entity, so no transaction may be open.
        """
        access = policy.resolve(request.caller, self._selectors(request), write=write)
        request.scopes_entered.enter_context(tenancy.tenant_scope(access.tenant_id))
        return access

    def _selectors(self, request: HttpRequest) -> Selectors:
        """Read what names the entity: the first of header, path and query that is not empty."""

        def first(header: str, name: str, parameter: str) -> str:
            sent = (request.headers.get(header), self.kwargs.get(name), request.GET.get(parameter))
            return next((text for value in sent if (text := str(value or "").strip())), "")

        return Selectors(
            billable_entity_id=first("x-billable-entity-id", "billable_entity_id", "billableEntityId"),
            workspace_slug=first("x-workspace-slug", "workspace_slug", "workspaceSlug"),
        )


def _require_plain_query(request: HttpRequest) -> None:
    if "%00" in request.META.get("QUERY_STRING", ""):
        raise ValidationFailed({"query": "Query parameters may not hold NUL."})


def _body(request: HttpRequest) -> dict[str, Any]:
    try:
        return requests.json_body(request, limit=BODY_MAX_BYTES)
    except Invalid as error:
        problem = error.details.get("message") if isinstance(error.details, dict) else None
        raise ValidationFailed({"body": problem or error.message}) from error
