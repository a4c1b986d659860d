"""The life of a dispatch attempt: opened, taken over, closed; every step fenced by its lease (spec 3.4)."""

import datetime as dt
import uuid
from typing import Any

from moneyrails import states
from moneyrails.models import DispatchAttempt, Operation
from moneyrails.rails import base
from moneyrails.rails import stripe as stripe_rail
from moneyrails.rails.base import TransferOrder
from moneyrails.states import AttemptStatus
from settld.core import rows
from settld.core.principals import Actor
from settld.tenants.services import hands
from settld.tenants.services.hands import Hands

_OPEN = "tenant_id = %s AND operation_id = %s AND status = ANY(%s) FOR UPDATE"
LEASE = dt.timedelta(seconds=120)
CHECK_EVERY = dt.timedelta(seconds=60)
MAX_CHECK_WAIT = dt.timedelta(hours=1)


def order_of(operation: Operation, *, idempotency_key: str) -> TransferOrder:
    """Describe the transfer that an operation stands for."""
    return TransferOrder(
        tenant_id=operation.tenant_id,
        provider_id=operation.provider_id,
        operation_id=operation.operation_id,
        payout_key=operation.payout_key,
        amount_cents=operation.amount_cents,
        currency=operation.currency,
        destination=stripe_rail.destination_of(operation.counterparty_ref) or operation.counterparty_ref,
        idempotency_key=idempotency_key,
    )


def open_attempt(
    operation: Operation,
    latest: DispatchAttempt | None,
    *,
    actor: Actor,
    caller_identity_hash: str,
    now: dt.datetime,
) -> DispatchAttempt:
    """Open the next attempt, or open again one that was never executed; the operation is locked.

    What was never executed keeps its key; after a clear refusal the number, and with it the key, is new.
    """
    attempt = _next(operation, latest, actor=actor, caller_identity_hash=caller_identity_hash, now=now)
    attempt.save()
    return attempt


def record_instant(
    operation: Operation,
    latest: DispatchAttempt | None,
    *,
    transfer_id: str,
    actor: Actor,
    caller_identity_hash: str,
    now: dt.datetime,
) -> DispatchAttempt:
    """Write the attempt of a rail that calls nobody: it succeeds as it is made."""
    attempt = _next(operation, latest, actor=actor, caller_identity_hash=caller_identity_hash, now=now)
    close(attempt, AttemptStatus.SUCCEEDED, now=now, observed_ref=transfer_id)
    return attempt


def _next(
    operation: Operation,
    latest: DispatchAttempt | None,
    *,
    actor: Actor,
    caller_identity_hash: str,
    now: dt.datetime,
) -> DispatchAttempt:
    """Make the attempt that comes now, leased and not saved."""
    attempt = latest
    if attempt is None or attempt.status != AttemptStatus.RETRYABLE:
        number = latest.attempt + 1 if latest else 1
        attempt = DispatchAttempt(
            tenant_id=operation.tenant_id,
            operation=operation,
            attempt=number,
            idempotency_key=base.idempotency_key(
                tenant_id=operation.tenant_id,
                provider_id=operation.provider_id,
                operation_id=operation.operation_id,
                attempt=number,
            ),
            created_at=now,
        )
    # Whoever found an attempt that was never executed is the one who submits it now.
    attempt.submitted_by, attempt.submitted_by_key_id = actor.principal_id, actor.key_id or ""
    attempt.status = AttemptStatus.DISPATCHING
    attempt.first_sent_at = now
    attempt.caller_identity_hash = caller_identity_hash
    attempt.request = frozen_request(order_of(operation, idempotency_key=attempt.idempotency_key))
    lease(attempt, now=now)
    return attempt


def frozen_request(order: TransferOrder) -> dict[str, Any]:
    """Keep what the provider is asked, for the day its outcome is unknown."""
    return {
        "amountCents": order.amount_cents,
        "currency": order.currency,
        "destination": order.destination,
        "transferGroup": order.payout_key,
        "idempotencyKey": order.idempotency_key,
    }


def lease(attempt: DispatchAttempt, *, now: dt.datetime) -> None:
    """Take the right to work on an attempt; whoever held it before can no longer write its end."""
    attempt.lease_token = uuid.uuid4()
    attempt.lease_expires_at = now + LEASE
    attempt.next_check_at = now + LEASE
    attempt.updated_at = now


def take_over(attempt: DispatchAttempt, *, now: dt.datetime, caller_identity_hash: str = "") -> None:
    """Take an attempt whose outcome nobody wrote down: from now on it was in doubt."""
    attempt.status = AttemptStatus.IN_DOUBT
    attempt.was_in_doubt = True
    attempt.caller_identity_hash = caller_identity_hash
    lease(attempt, now=now)
    attempt.save()


def hold(attempt: DispatchAttempt, *, now: dt.datetime, caller_identity_hash: str = "") -> None:
    """Take an attempt for a person's act; what is left to people stays so, whatever becomes of the act."""
    if attempt.status != AttemptStatus.INDETERMINATE:
        take_over(attempt, now=now, caller_identity_hash=caller_identity_hash)
        return
    attempt.caller_identity_hash = caller_identity_hash
    lease(attempt, now=now)
    attempt.next_check_at = None
    attempt.save()


def is_held(attempt: DispatchAttempt, *, token: uuid.UUID) -> bool:
    """Tell whether a lease taken earlier still holds on the freshly locked row."""
    return attempt.lease_token == token and attempt.is_open


def close(
    attempt: DispatchAttempt,
    status: AttemptStatus,
    *,
    now: dt.datetime,
    observed_ref: str = "",
    error: dict[str, Any] | None = None,
    is_counted: bool = True,
) -> None:
    """Write down how an attempt stands and give the lease back; the row is locked.

    Each doubt makes the loop wait longer before it looks again; one that is not counted, as a person's
    question is, has it look soon.
    """
    attempt.status = status
    attempt.lease_expires_at = None
    attempt.observed_ref = observed_ref or attempt.observed_ref
    attempt.error = error if error is not None else attempt.error
    attempt.updated_at = now
    attempt.next_check_at = None
    if status == AttemptStatus.IN_DOUBT:
        attempt.was_in_doubt = True
        wait = CHECK_EVERY
        if is_counted:
            wait = min(CHECK_EVERY * 2 ** min(attempt.check_count, 10), MAX_CHECK_WAIT)
            attempt.check_count += 1
        attempt.next_check_at = now + wait
    attempt.save()


def settle(
    attempt: DispatchAttempt,
    status: AttemptStatus,
    *,
    resolver: Hands,
    reason: str,
    evidence: str,
    observed_ref: str = "",
    now: dt.datetime,
) -> None:
    """Close an attempt by a person's finding; the database refuses who stands behind the submit as well."""
    submitter = hands.behind(tenant_id=attempt.tenant_id, principal_id=attempt.submitted_by)
    attempt.resolved_by, attempt.resolved_at = resolver.principal_id, now
    attempt.resolution_reason, attempt.resolution_evidence = reason, evidence
    attempt.resolver_hands, attempt.submitter_hands = sorted(resolver.names), sorted(submitter.names)
    close(attempt, status, now=now, observed_ref=observed_ref)


def resolve_by_event(operation: Operation, *, provider_ref: str, now: dt.datetime) -> DispatchAttempt | None:
    """Close the open attempt of an operation that a provider's event proves sent; None when none is open."""
    attempt = rows.first(
        DispatchAttempt, _OPEN, [operation.tenant_id, operation.pk, sorted(states.OPEN_ATTEMPT)]
    )
    if attempt is not None:
        attempt.lease_token = uuid.uuid4()
        close(attempt, AttemptStatus.SUCCEEDED, now=now, observed_ref=provider_ref)
    return attempt
