"""Asking the gateway: its failures become problems in our words, its objects become facts."""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import stripe

from billing.provider_time import ProviderTime
from billing.providers import reading
from billing.providers.errors import CIRCUIT_OPEN_CODE, Category, ProviderProblem
from billing.providers.facts import Answer, Listing
from billing.providers.reading import ShapeError
from settld.core import transactions
from settld.stripe_gateway import client
from settld.stripe_gateway.calls import Endpoint
from settld.stripe_gateway.outcomes import ProviderFailure, scrub
from settld.stripe_gateway.profiles import Profile
from settld.stripe_gateway.replies import Reply

PAGE_SIZE: Final = 100
MAX_PAGES: Final = 100
KEY_MAX: Final = 255
F = TypeVar("F")
Send = Callable[[stripe.StripeClient], Any]
Params = dict[str, Any]
BY_STATUS: Final = {
    400: Category.INVALID_REQUEST,
    401: Category.AUTH,
    402: Category.INVALID_REQUEST,
    403: Category.PERMISSION,
    404: Category.NOT_FOUND,
    408: Category.TRANSIENT_PROVIDER,
    409: Category.CONFLICT,
    422: Category.INVALID_REQUEST,
    425: Category.TRANSIENT_PROVIDER,
    429: Category.RATE_LIMITED,
}


def one(endpoint: Endpoint, send: Send, read: Callable[[Any], F], *, profile: Profile) -> Answer[F]:
    """Ask for one object; raises ProviderProblem, also when the answer is not what was asked for."""
    reply = _ask(endpoint, send, profile)
    return _answer(reply, reply.body, read)


def every(
    endpoint: Endpoint,
    send: Callable[[stripe.StripeClient, Params], Any],
    params: Params,
    read: Callable[[Any], F],
    *,
    profile: Profile,
) -> Listing[F]:
    """Ask for all pages of a list; raises ProviderProblem rather than give a part of it."""
    items: list[Answer[F]] = []
    times: list[ProviderTime] = []
    for reply, rows in pages(endpoint, send, params, profile=profile):
        times.append(_time(reply))
        items += [_answer(reply, row, read) for row in rows]
    return Listing(items=tuple(items), provider_time=times[0])


def matching(
    endpoint: Endpoint,
    send: Callable[[stripe.StripeClient, Params], Any],
    params: Params,
    is_wanted: Callable[[dict[str, Any]], bool],
    read: Callable[[Any], F],
    *,
    profile: Profile,
) -> tuple[Answer[F], ...]:
    """Ask for all pages of a list and read the wanted rows only: the others may be somebody else's."""
    return tuple(
        _answer(reply, row, read)
        for reply, rows in pages(endpoint, send, params, profile=profile)
        for row in rows
        if is_wanted(row)
    )


def pages(
    endpoint: Endpoint,
    send: Callable[[stripe.StripeClient, Params], Any],
    params: Params,
    *,
    profile: Profile,
) -> Iterator[tuple[Reply, list[dict[str, Any]]]]:
    """Ask for the pages of a list one after the other; ProviderProblem when they do not end."""
    wanted = {"limit": PAGE_SIZE} | params
    for _ in range(MAX_PAGES):
        reply = _ask(endpoint, _with(send, dict(wanted)), profile)
        rows, has_more = _page(reply)
        yield reply, rows
        if not has_more:
            return
        wanted["starting_after"] = rows[-1]["id"]
    raise ProviderProblem(
        f"{endpoint.label}: more than {MAX_PAGES} pages", category=Category.UNKNOWN, http_status=200
    )


def first_page(endpoint: Endpoint, send: Send, read: Callable[[Any], F], *, profile: Profile) -> Listing[F]:
    """Ask for one page of a list, as many rows as the request says."""
    reply = _ask(endpoint, send, profile)
    rows, _ = _page(reply)
    return Listing(items=tuple(_answer(reply, row, read) for row in rows), provider_time=_time(reply))


def _with(send: Callable[[stripe.StripeClient, Params], Any], params: Params) -> Send:
    return lambda client: send(client, params)


def require_key(idempotency_key: str) -> None:
    """Refuse to write without a key (INV-45)."""
    if not idempotency_key.strip() or len(idempotency_key) > KEY_MAX:
        raise ValueError("a write needs an idempotency key of 1 to 255 characters")


def problem_of(failure: ProviderFailure) -> ProviderProblem:
    """Put a failure of the gateway in our words, by the HTTP status and the provider's own codes."""
    error = failure.error
    is_circuit = failure.is_circuit_open
    told = failure.provider_time
    return ProviderProblem(
        error["message"],
        category=Category.TRANSIENT_PROVIDER
        if is_circuit
        else _category(error["httpStatus"], error["providerCode"]),
        http_status=error["httpStatus"],
        provider_code=CIRCUIT_OPEN_CODE if is_circuit else error["providerCode"],
        provider_type=error["providerType"],
        provider_request_id=error["providerRequestId"],
        is_replayed=failure.is_replayed,
        attempts=failure.attempts,
        provider_time=None if told is None else ProviderTime.stored(told),
        retry_after_seconds=failure.retry_after_seconds,
    )


def _category(status: int | None, code: str | None) -> Category:
    if status is None:
        return Category.TRANSIENT_NETWORK
    if status == 400 and code == "rate_limit":
        return Category.RATE_LIMITED
    if status in BY_STATUS:
        return BY_STATUS[status]
    return Category.TRANSIENT_PROVIDER if status >= 500 else Category.UNKNOWN  # no status that says no


def _ask(endpoint: Endpoint, send: Send, profile: Profile) -> Reply:
    transactions.require_no_transaction()
    try:
        return client.ask(endpoint=endpoint, send=send, profile=profile)
    except ProviderFailure as failure:
        raise problem_of(failure) from failure
    except Exception as error:  # nothing has left: the gateway turns all else into a failure
        raise ProviderProblem(
            scrub(f"{endpoint.label} could not be sent: {type(error).__name__}: {error}"),
            category=Category.INVALID_REQUEST,
            is_local=True,
        ) from error


def _answer(reply: Reply, body: dict[str, Any], read: Callable[[Any], F]) -> Answer[F]:
    try:
        facts = read(body)
    except ShapeError as error:
        raise _unusable(reply, str(error)) from error
    return Answer(
        facts=facts,
        raw=body,
        provider_time=_time(reply),
        is_replayed=reply.is_replayed,
        attempts=reply.attempts,
    )


def _page(reply: Reply) -> tuple[list[dict[str, Any]], bool]:
    try:
        body = reading.object_of(reply.body, "list")
        data = body.get("data")
        if not isinstance(data, list):
            raise ShapeError("a list without rows")
        rows = [reading.object_of(row) for row in data]
        has_more = reading.flag(body, "has_more")
        if has_more:
            reading.required_id(rows[-1] if rows else {})
    except ShapeError as error:
        raise _unusable(reply, str(error)) from error
    return rows, has_more


def _time(reply: Reply) -> ProviderTime:
    """Give the provider's clock; without it an answer cannot be put in order with others."""
    if reply.provider_time is None:
        raise _unusable(reply, "no Date header")
    return ProviderTime.stored(reply.provider_time)


def _unusable(reply: Reply, why: str) -> ProviderProblem:
    return ProviderProblem(
        f"an answer that cannot be used: {why}",
        category=Category.UNKNOWN,
        http_status=reply.status,
        provider_request_id=reply.request_id,
        is_replayed=reply.is_replayed,
        attempts=reply.attempts,
    )
