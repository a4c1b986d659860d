"""One call to Stripe: sends, retries and the circuit, ending in a value or in what is known instead."""

import datetime as dt
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import stripe
import structlog

from settld.core import clock
from settld.core.transactions import require_no_transaction
from settld.settings_parsing import Stripe
from settld.stripe_gateway import circuit as circuits
from settld.stripe_gateway import replies, skew
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
from settld.stripe_gateway.replies import Attempt
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
    is_replayed: bool = False


@dataclass(frozen=True)
class Made(Generic[T]):
    """A call that succeeded: what was read, the answer it was read from, and every send up to it."""

    value: T
    answer: Answer
    attempts: tuple[Attempt, ...]


def make(*, endpoint: Endpoint, config: Stripe, transport: Transport, send: Callable[[], T]) -> Made[T]:
    """Send until there is an answer, at most config.retry_max_attempts times.

    `send` makes one HTTP request through the transport and reads its answer. Raises ProviderRejected,
    ProviderInDoubt or ProviderNotExecuted; RuntimeError inside a transaction; what `send` raises before
    anything has left, as it is. A doubt that one send raised stays, whatever a later send of the same call
    was told. Source: spec/money-rails.md 3.3, 3.4.
    """
    require_no_transaction()
    circuit = circuits.for_address(config.api_base_url, config=config)
    permit = _enter(circuit, endpoint, config)
    try:
        with CALL_SECONDS.labels(endpoint=endpoint.label).time():
            made, setbacks = _send_with_retries(circuit, endpoint, config, transport, send)
    except BaseException:  # a mistake of ours, or our end: Stripe has not been heard
        circuit.abandon(permit)
        raise
    if made is None and setbacks[-1].is_outage:
        circuit.record_failure(permit, now=clock.now())
    else:
        circuit.record_answer()
    if made is None:
        failure = _verdict(setbacks, endpoint, config, transport.answer)
        CALLS.labels(endpoint=endpoint.label, outcome=failure.outcome).inc()
        raise failure
    CALLS.labels(endpoint=endpoint.label, outcome="succeeded").inc()
    return made


def delay_seconds(*, config: Stripe, after_attempt: int, jitter: float) -> float:
    """Give the pause after a send: the base, doubled each time, bounded, then jittered."""
    delay_ms: int = min(config.retry_max_ms, config.retry_base_ms << (after_attempt - 1))
    return delay_ms * jitter / 1000


def _enter(circuit: circuits.Circuit, endpoint: Endpoint, config: Stripe) -> circuits.Permit:
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
        error = _error_object(setback, endpoint, config, attempt=0)
        error["circuitOpenUntil"] = clock.iso(refusal.until)
        raise ProviderNotExecuted(error) from refusal


def _send_with_retries(
    circuit: circuits.Circuit, endpoint: Endpoint, config: Stripe, transport: Transport, send: Callable[[], T]
) -> tuple[Made[T] | None, list[Setback]]:
    """Send, again after each setback that allows it; None means there was no good answer."""
    setbacks: list[Setback] = []
    for attempt in range(1, config.retry_max_attempts + 1):
        transport.forget()
        sent_at = clock.now()
        try:
            value = send()
        except Exception as error:
            if not transport.has_sent and not setbacks:
                raise
            setbacks.append(_setback(error, transport.answer))
        else:
            answer = _measured(transport, sent_at)
            if answer is None:  # pragma: no cover - a value was read from an answer
                raise RuntimeError("a value without an answer")
            return Made(value, answer, (*_attempts(setbacks), _success(answer))), setbacks
        _measured(transport, sent_at)
        _log(setbacks[-1], endpoint, attempt)
        is_last = attempt == config.retry_max_attempts
        if is_last or not setbacks[-1].may_retry or circuit.open_until(now=clock.now()):
            break
        RETRIES.labels(endpoint=endpoint.label).inc()
        jitter = random.uniform(0.8, 1.2)  # noqa: S311
        pause(delay_seconds(config=config, after_attempt=attempt, jitter=jitter))
    return None, setbacks


def _measured(transport: Transport, sent_at: dt.datetime) -> Answer | None:
    """Give the answer that came, having compared its clock with ours."""
    answer = transport.answer
    told = replies.date_of(answer.headers) if answer is not None else None
    if told is not None:
        skew.measure(sent_at=sent_at, provider_time=told)
    return answer


def _success(answer: Answer) -> Attempt:
    return Attempt(
        status=answer.status,
        category="succeeded",
        request_id=answer.headers.get("Request-Id"),
        is_replayed=replies.is_replayed(answer.headers),
    )


def _attempts(setbacks: list[Setback]) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(
            status=setback.status,
            category=setback.category,
            request_id=setback.request_id,
            is_replayed=setback.is_replayed,
        )
        for setback in setbacks
    )


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
        is_replayed=replies.is_replayed(answer.headers),
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


def _verdict(
    setbacks: list[Setback], endpoint: Endpoint, config: Stripe, answer: Answer | None
) -> ProviderFailure:
    """Sum a call up: the last word, unless an earlier send left a doubt."""
    last = setbacks[-1]
    error = _error_object(last, endpoint, config, attempt=len(setbacks))
    kind = last.kind
    if not issubclass(kind, ProviderInDoubt) and any(
        issubclass(setback.kind, ProviderInDoubt) for setback in setbacks
    ):
        error["message"] += "; an earlier send of this call got no clear answer"
        kind = ProviderInDoubt
    headers = answer.headers if answer is not None else {}
    return kind(
        error,
        attempts=_attempts(setbacks),
        provider_time=replies.date_of(headers),
        is_replayed=last.is_replayed,
        retry_after_seconds=replies.retry_after_seconds(headers),
    )


def _error_object(
    setback: Setback, endpoint: Endpoint, config: Stripe, *, attempt: int
) -> ProviderErrorObject:
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
        maxAttempts=config.retry_max_attempts,
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
