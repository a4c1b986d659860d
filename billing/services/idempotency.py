"""Claiming a client's idempotency key, and the names under which the rest of this subject is found.

The table of section 4 is `claim`; keys, answers and ends have files of their own and are offered here, so
that checkout, portal, payment links, webhooks and reconciliation use one vocabulary.
"""

import datetime as dt
import os
import socket
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db.models import Q

from billing.models import BillableEntity, BillingRequest, CheckoutSession, PaymentLink
from billing.services import refs, rows
from billing.services.idempotency_answers import (
    SENTENCES,
    Answer,
    CheckoutInProgress,
    IdempotencyConflict,
    RequestInProgress,
    in_progress,
    render,
    sentence_of,
    status_of,
)
from billing.services.idempotency_ends import (
    checkout_response,
    fail,
    fenced,
    finalise_from_facts,
    note,
    succeed,
)
from billing.services.idempotency_keys import fingerprint, operation_key, price_key, provider_key
from billing.states import PROVIDER, Action, RefKind, RequestStatus

__all__ = [
    "SENTENCES",
    "Answer",
    "CheckoutInProgress",
    "Claim",
    "ClaimKind",
    "IdempotencyConflict",
    "RequestInProgress",
    "checkout_response",
    "claim",
    "fail",
    "fenced",
    "finalise_from_facts",
    "fingerprint",
    "in_progress",
    "is_leased",
    "lease_ends",
    "note",
    "operation_key",
    "owner",
    "price_key",
    "provider_key",
    "render",
    "sentence_of",
    "status_of",
    "succeed",
]


class ClaimKind(StrEnum):
    """What came of asking for a key."""

    CLAIMED = "claimed"  # the row is ours, pending, version 1
    REPLAY = "replay"  # it has an end: render it with is_replay=True
    RECOVER = "recover"  # it is pending and its lease has run out: take it over now


@dataclass(frozen=True)
class Claim:
    """The row of a key, and what to do with it."""

    kind: ClaimKind
    request: BillingRequest


def claim(
    *,
    entity: BillableEntity,
    action: Action,
    client_key: str,
    normalized: dict[str, Any],
    now: dt.datetime,
    provider: str = PROVIDER,
) -> Claim:
    """Claim a key for an action of an entity, which is locked; part of the caller's transaction.

    `normalized` is the request with its defaults written out; `action` and `billableEntityId` are added
    here. Raises IdempotencyConflict, RequestInProgress and CheckoutInProgress: nothing was stored. A claimed
    row holds a lease from `now`; what its claimer decides in the same transaction is final, and an exception
    takes the claim back.
    """
    whole = normalized | {"action": action.value, "billableEntityId": entity.pk}
    request_hash = fingerprint(whole)
    of_key = Q(client_idempotency_key=client_key)
    others = Q(status=RequestStatus.PENDING) if action == Action.CHECKOUT else Q()
    ours = BillingRequest.objects.filter(tenant_id=entity.tenant_id, billable_entity=entity, action=action)
    found = ours.filter(of_key | others).order_by("id").select_for_update(no_key=True, of=("self",))
    known = {request.client_idempotency_key: request for request in found}
    if (existing := known.pop(client_key, None)) is not None:
        return _known(existing, request_hash=request_hash, now=now)
    for other in known.values():  # a second pending checkout, whatever its lease says (INV-8)
        raise CheckoutInProgress(is_abandoned=not is_leased(other, now=now))
    key = operation_key(action=action, entity_id=entity.pk, client_key=client_key)
    _require_never_used(entity, action, key)
    request = BillingRequest(
        tenant_id=entity.tenant_id,
        billable_entity=entity,
        action=action,
        client_idempotency_key=client_key,
        request_fingerprint_hash=request_hash,
        normalized_request_json=whole,
        operation_key=key,
        provider=provider,
        provider_idempotency_key=provider_key(action=action, operation_key=key, provider=provider),
        pending_lease_expires_at=lease_ends(now),
        pending_last_heartbeat_at=now,
        lease_owner=owner(),
        expires_at=now + dt.timedelta(days=settings.BILLING.idempotency_retention_days),
    )
    if rows.insert_once(request, target=("tenant_id", "billable_entity", "action", "client_idempotency_key")):
        refs.claim(kind=RefKind.OPERATION_KEY, ref=key, entity=entity, provider=provider)
        return Claim(ClaimKind.CLAIMED, request)
    return _known(ours.get(of_key), request_hash=request_hash, now=now)


def _known(request: BillingRequest, *, request_hash: str, now: dt.datetime) -> Claim:
    """Tell what a row that exists means to who comes with its key again."""
    if request.request_fingerprint_hash != request_hash:
        raise IdempotencyConflict()
    if not request.is_pending:
        return Claim(ClaimKind.REPLAY, request)
    if is_leased(request, now=now):
        raise in_progress(request, now=now)
    return Claim(ClaimKind.RECOVER, request)


def _require_never_used(entity: BillableEntity, action: Action, key: str) -> None:
    """Refuse a key whose row was purged while what it made is still known: the provider forgot it, too.

    A key is of one action, and a checkout makes no link.
    """
    makes = (CheckoutSession,) if action == Action.CHECKOUT else (CheckoutSession, PaymentLink)
    made = (
        model.objects.filter(
            tenant_id=entity.tenant_id, billable_entity=entity, provider=PROVIDER, operation_key=key
        )
        for model in makes
    )
    if any(rows.exists() for rows in made):
        raise IdempotencyConflict()


def is_leased(request: BillingRequest, *, now: dt.datetime) -> bool:
    """Tell whether somebody's lease on a request runs; at its very end it does not."""
    lease = request.pending_lease_expires_at
    return lease is not None and now < lease


def lease_ends(now: dt.datetime) -> dt.datetime:
    """Give the end of a lease that begins now."""
    return now + dt.timedelta(seconds=settings.BILLING.pending_lease_seconds)


def owner() -> str:
    """Name this process in a lease."""
    return f"{socket.gethostname()}:{os.getpid()}"[:120]
