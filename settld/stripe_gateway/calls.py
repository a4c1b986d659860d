"""One call to Stripe: sends, retries and the circuit, ending in a value or in what is known instead."""

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import stripe
import structlog
from django.conf import settings

from settld.core import clock
from settld.core.transactions import require_no_transaction
from settld.stripe_gateway import circuit as circuits
from settld.stripe_gateway.metrics import CALL_SECONDS, CALLS, RETRIES
from settld.stripe_gateway.outcomes import (
    Category,
    ProviderAnswerUnusable,
    ProviderErrorObject,
    ProviderFailure,
    ProviderInDoubt,
    ProviderNotExecuted,
    ProviderRejected,
    scrub,
)
from settld.stripe_gateway.transport import Answer, Transport

RETRIED_STATUSES = frozenset({408, 409, 425, 429})
log = structlog.get_logger(__name__)
pause = time.sleep  # tests take the time out of it
T = TypeVar("T")


@dataclass(frozen=True)
class Endpoint:
    """What is called: the path of this call, and its shape for counting."""

    path: str
    label: str


@dataclass(frozen=True)
class Setback:
    """One send that did not give a usable answer."""

    kind: type[ProviderFailure]
    category: Category
    message: str
    is_outage: bool
    may_retry: bool
    status: int | None = None
    code: str | None = None
    type: str | None = None
    request_id: str | None = None


def make(*, endpoint: Endpoint, transport: Transport, send: Callable[[], T]) -> T:
    """Send until there is an answer, at most settings.STRIPE.retry_max_attempts times.

    `send` makes one HTTP request through the transport and reads its answer. Raises ProviderRejected,
    ProviderInDoubt or ProviderNotExecuted; RuntimeError inside a transaction. A doubt that one send
    raised stays, whatever a later send of the same call was told. Source: spec/money-rails.md 3.3, 3.4.
    """
    require_no_transaction()
    circuit = circuits.for_address(settings.STRIPE.api_base_url)
    permit = _enter(circuit, endpoint)
    with CALL_SECONDS.labels(endpoint=endpoint.label).time():
        try:
            value, setbacks = _send_with_retries(circuit, endpoint, transport, send)
        except BaseException:  # a mistake of ours, or our end: Stripe has not been heard
            circuit.abandon(permit)
            raise
    if setbacks and setbacks[-1].is_outage and value is None:
        circuit.record_failure(permit, now=clock.now())
    else:
        circuit.record_answer()
    if value is None:
        failure = _verdict(setbacks, endpoint)
        CALLS.labels(endpoint=endpoint.label, outcome=failure.outcome).inc()
        raise failure
    CALLS.labels(endpoint=endpoint.label, outcome="succeeded").inc()
    return value


def delay_seconds(*, after_attempt: int, jitter: float) -> float:
    """Give the pause after a send: the base, doubled each time, bounded, then jittered."""
    config = settings.STRIPE
    delay_ms: int = min(config.retry_max_ms, config.retry_base_ms << (after_attempt - 1))
    return delay_ms * jitter / 1000


def _enter(circuit: circuits.Circuit, endpoint: Endpoint) -> circuits.Permit:
    try:
        return circuit.enter(now=clock.now())
    except circuits.CircuitOpen as refusal:
        CALLS.labels(endpoint=endpoint.label, outcome="circuit_open").inc()
        setback = Setback(
            kind=ProviderNotExecuted,
            category="circuit_open",
            message="Stripe did not answer lately; nothing was sent",
            is_outage=True,
            may_retry=False,
        )
        error = _error_object(setback, endpoint, attempt=0)
        error["circuitOpenUntil"] = clock.iso(refusal.until)
        raise ProviderNotExecuted(error) from refusal


def _send_with_retries(
    circuit: circuits.Circuit, endpoint: Endpoint, transport: Transport, send: Callable[[], T]
) -> tuple[T | None, list[Setback]]:
    """Send, again after each setback that allows it; a value of None means there was no good answer."""
    setbacks: list[Setback] = []
    attempts = settings.STRIPE.retry_max_attempts
    for attempt in range(1, attempts + 1):
        transport.forget()
        try:
            return send(), setbacks
        except Exception as error:
            if not transport.has_sent:
                raise
            setbacks.append(_setback(error, transport.answer))
        _log(setbacks[-1], endpoint, attempt)
        if attempt == attempts or not setbacks[-1].may_retry or circuit.open_until(now=clock.now()):
            break
        RETRIES.labels(endpoint=endpoint.label).inc()
        pause(delay_seconds(after_attempt=attempt, jitter=random.uniform(0.8, 1.2)))  # noqa: S311
    return None, setbacks


def _setback(error: Exception, answer: Answer | None) -> Setback:
    """Say what one send's failure tells about the money."""
    if answer is None:
        cause = error.__cause__ if isinstance(error, stripe.APIConnectionError) else error
        return Setback(
            kind=ProviderInDoubt,
            category="network_error",
            message=f"no answer from Stripe ({type(cause).__name__})",
            is_outage=True,
            may_retry=isinstance(error, stripe.APIConnectionError),
        )
    kind, category, is_outage = _class_of(answer)
    told = _error_of(answer)
    fallback = f"Stripe answered {answer.status}"
    if kind is ProviderAnswerUnusable:
        fallback = f"Stripe answered {answer.status} with something unusable ({type(error).__name__})"
    return Setback(
        kind=kind,
        category=category,
        message=scrub(told.get("message") or fallback),
        is_outage=is_outage,
        may_retry=is_outage and (answer.headers.get("Stripe-Should-Retry") or "").lower() != "false",
        status=answer.status,
        code=told.get("code"),
        type=told.get("type"),
        request_id=answer.headers.get("Request-Id"),
    )


def _class_of(answer: Answer) -> tuple[type[ProviderFailure], Category, bool]:
    status = answer.status
    if status == 429:
        return ProviderNotExecuted, "rate_limited", True
    if status in RETRIED_STATUSES or status >= 500:
        return ProviderInDoubt, "upstream_unavailable", True
    if 200 <= status < 300:
        return ProviderAnswerUnusable, "invalid_response", False
    if not 400 <= status < 500:
        return ProviderAnswerUnusable, "unknown", False
    if _error_of(answer).get("type") == "idempotency_error":
        # The key was used before with other parameters: this send moved nothing, that one may have.
        return ProviderInDoubt, "upstream_rejected", False
    return ProviderRejected, "upstream_rejected", False


def _error_of(answer: Answer) -> dict[str, str]:
    """Read the texts of Stripe's error object; empty when the answer holds none."""
    try:
        body = json.loads(answer.body)
    except ValueError:
        return {}
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return {}
    return {key: value[:500] for key, value in error.items() if isinstance(value, str) and value}


def _verdict(setbacks: list[Setback], endpoint: Endpoint) -> ProviderFailure:
    """Sum a call up: the last word, unless an earlier send left a doubt."""
    last = setbacks[-1]
    error = _error_object(last, endpoint, attempt=len(setbacks))
    if issubclass(last.kind, ProviderInDoubt):
        return last.kind(error)
    if any(issubclass(setback.kind, ProviderInDoubt) for setback in setbacks):
        error["message"] += "; an earlier send of this call got no clear answer"
        return ProviderInDoubt(error)
    return last.kind(error)


def _error_object(setback: Setback, endpoint: Endpoint, *, attempt: int) -> ProviderErrorObject:
    return ProviderErrorObject(
        message=setback.message,
        provider="stripe",
        category=setback.category,
        retryable=setback.is_outage,
        httpStatus=setback.status,
        providerCode=setback.code,
        providerType=setback.type,
        providerRequestId=setback.request_id,
        endpoint=endpoint.path,
        attempt=attempt,
        maxAttempts=settings.STRIPE.retry_max_attempts,
        circuitOpenUntil=None,
    )


def _log(setback: Setback, endpoint: Endpoint, attempt: int) -> None:
    log.warning(
        "stripe_send_failed",
        endpoint=endpoint.path,
        attempt=attempt,
        category=setback.category,
        status=setback.status,
        provider_code=setback.code,
        provider_request_id=setback.request_id,
        message=setback.message,
    )
