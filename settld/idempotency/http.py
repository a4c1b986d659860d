"""The decorator that makes a handler idempotent."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, overload

from django.http import HttpResponse

from settld.api.requests import OpsRequest
from settld.api.responses import Json, to_bytes
from settld.core import failpoints, transactions
from settld.idempotency.services import records

HEADER = "x-idempotency-key"
REPLAYED = {"x-idempotent-replay": "true"}


class StoredForm(Protocol):
    """Changes a body before it is stored, to leave out what may be shown only once."""

    def __call__(self, data: Any) -> Any: ...


def identity_of(
    request: OpsRequest, *, query: dict[str, Any] | None = None, chain_head: str | None = None
) -> records.Identity | None:
    """Read the idempotency identity of a request; None when it names no key."""
    return records.identity(
        tenant_id=request.tenant_id,
        principal_id=request.principal.principal_id,
        method=str(request.method),
        path=request.path,
        key=request.headers.get(HEADER),
        body=request.body_json,
        query=query,
        expected_prev_chain_hash=chain_head,
    )


def replay(reply: records.Reply) -> Json:
    """Answer with a stored reply, byte for byte."""
    return Json(reply.body.encode(), status=reply.status, headers=dict(REPLAYED))


Handler = Callable[..., HttpResponse]


@overload
def idempotent(method: Handler, /) -> Handler: ...


@overload
def idempotent(
    *,
    stored_form: StoredForm | None = None,
    query: Callable[[OpsRequest], dict[str, Any]] | None = None,
    chain_head: Callable[[OpsRequest], str | None] | None = None,
) -> Callable[[Handler], Handler]: ...


def idempotent(
    method: Handler | None = None,
    /,
    *,
    stored_form: StoredForm | None = None,
    query: Callable[[OpsRequest], dict[str, Any]] | None = None,
    chain_head: Callable[[OpsRequest], str | None] | None = None,
) -> Handler | Callable[[Handler], Handler]:
    """Run a handler in one transaction in which key, effect, audit and reply commit together.

    Without the header the handler still runs in one transaction. `stored_form` nulls secrets in what
    is kept; `query` names the query parameters that the request hash covers. `chain_head` reads where
    in a chain the caller appends, which the hash covers, too; its refusals come before any replay.
    """
    if method is None:
        return lambda inner: _once(inner, stored_form=stored_form, query=query, chain_head=chain_head)
    return _once(method, stored_form=stored_form, query=query, chain_head=chain_head)


def _once(
    handler: Handler,
    *,
    stored_form: StoredForm | None,
    query: Callable[[OpsRequest], dict[str, Any]] | None,
    chain_head: Callable[[OpsRequest], str | None] | None,
) -> Handler:

    @wraps(handler)
    def once(view: Any, request: OpsRequest, **kwargs: Any) -> HttpResponse:
        wanted = identity_of(
            request,
            query=query(request) if query else None,
            chain_head=chain_head(request) if chain_head else None,
        )
        if wanted is None:
            with transactions.atomic():
                return handler(view, request, **kwargs)
        with transactions.atomic():
            reply = records.claim(wanted)
            if reply is not None:
                return replay(reply)
            response = handler(view, request, **kwargs)
            stored = response.content
            if stored_form is not None and isinstance(response, Json):
                stored = to_bytes(stored_form(response.data))
            records.store(wanted, status=response.status_code, body=stored.decode(), now=request.received_at)
            failpoints.hit("idempotent.before_commit")
        failpoints.hit("idempotent.after_commit")
        return response

    return once
