"""The rails consumer of the Stripe inbox: transfers that are ours move their operation, or become a case.

An authentic event that matches its operation in every respect is as good as an ingest. One that names
us and does not match changes nothing and is filed as a mismatch. A reversal in part is filed too, each
further part as a case of its own: what is owed changes only when the whole transfer has come back.
"""

import datetime as dt
from typing import Any

from moneyrails import findings
from moneyrails.models import Operation
from moneyrails.queries.operations import OperationNotFound
from moneyrails.rails import stripe as stripe_rail
from moneyrails.services import attempts, claims, events
from moneyrails.services.claims import Claim
from moneyrails.services.facts import Fact
from moneyrails.services.movements import ProviderRefConflict
from moneyrails.states import OperationState
from settld.core import clock, failpoints, tenancy, transactions
from settld.core.principals import Actor
from settld.stripe_gateway import answers, consumers
from settld.stripe_gateway.answers import Transfer
from settld.stripe_gateway.models import StripeEvent
from settld.stripe_gateway.states import Outcome

CONSUMER = "rails"
EVENT_TYPES = ("transfer.created", "transfer.reversed")
ACTOR = Actor.system("stripe_inbox")


def register() -> None:
    """Claim the inbox's transfer events."""
    consumers.register(name=CONSUMER, event_types=EVENT_TYPES, handler=consume)


def consume(event: StripeEvent) -> tuple[Outcome, str]:
    """Apply one event of Stripe's; safe to run again, and in any order."""
    transfer = answers.transfer(event.data_object)
    claim = claims.of_metadata(transfer.metadata)
    if claim is None:
        return Outcome.IGNORED, "not a transfer of ours"
    with tenancy.tenant_scope(claim.tenant_id):
        now = clock.now()
        try:
            with transactions.atomic(durable=True):
                verdict = _apply(event, transfer, claim, now=now)
                failpoints.hit("consume.before_commit")
        except ProviderRefConflict:
            problem = "the transfer is recorded for another operation"
            with transactions.atomic(durable=True):
                verdict = _file(claim, transfer, "provider_transfer_mismatch", problem, event, now=now)
        failpoints.hit("consume.after_commit")
    return verdict


def _apply(event: StripeEvent, transfer: Transfer, claim: Claim, *, now: dt.datetime) -> tuple[Outcome, str]:
    may_reverse = ("reversed",) if event.event_type == "transfer.reversed" else ()
    try:
        operation = events.lock_for(
            *may_reverse, tenant_id=claim.tenant_id, provider_id=claim.provider_id,
            operation_id=claim.operation_id, now=now,
        )  # fmt: skip
    except OperationNotFound:
        return _file(claim, transfer, "unmatched_provider_transfer", "no such operation", event, now=now)
    problem = difference(operation, transfer, claim)
    if problem:
        return _file(claim, transfer, "provider_transfer_mismatch", problem, event, now=now)
    moved = _walk(operation, event, transfer, claim, _targets(event, transfer), now=now)
    is_partial = event.event_type == "transfer.reversed" and not _is_whole(transfer)
    if is_partial and operation.state == OperationState.CONFIRMED:
        return _file_part(operation, claim, transfer, event, now=now)
    return moved


def difference(operation: Operation, transfer: Transfer, claim: Claim) -> str:
    """Say in what a transfer differs from its operation; empty when in nothing."""
    order = attempts.order_of(operation, idempotency_key="")
    if (
        operation.provider_mode != "production"
        or stripe_rail.destination_of(operation.counterparty_ref) is None
    ):
        return "the operation is not paid through Stripe"
    if claim.payout_key != operation.payout_key:
        return "the payout key differs"
    if operation.provider_ref and operation.provider_ref != transfer.id:
        return "the operation has another transfer"
    if not stripe_rail.as_transfer(transfer).matches(order):
        return "amount, currency or destination differs"
    return ""


def _targets(event: StripeEvent, transfer: Transfer) -> tuple[str, ...]:
    """Name the states that the event vouches for, in order; a reversal in part still proves the transfer."""
    if event.event_type == "transfer.reversed" and _is_whole(transfer):
        return ("submitted", "confirmed", "reversed")
    return ("submitted", "confirmed")


def _is_whole(transfer: Transfer) -> bool:
    """Tell whether all of it has come back, in however many parts."""
    return transfer.amount_reversed == transfer.amount


def _walk(
    operation: Operation,
    event: StripeEvent,
    transfer: Transfer,
    claim: Claim,
    wanted: tuple[str, ...],
    *,
    now: dt.datetime,
) -> tuple[Outcome, str]:
    """Move the operation along the states that the event vouches for, from where it is."""
    if operation.state in ("failed", "cancelled"):
        return _file(
            claim, transfer, "provider_transfer_mismatch",
            f"the provider has a transfer of a {operation.state} operation", event, now=now,
        )  # fmt: skip
    way = ("initiated", "submitted", "confirmed", "reversed")
    ahead = [target for target in wanted if way.index(target) > way.index(operation.state)]
    if not ahead:
        return Outcome.STALE, f"the operation is {operation.state} already"
    for target in ahead:
        at = event.provider_created_at if target == "reversed" else transfer.created_at
        fact = Fact(
            event_type=target,
            at=at,
            event_id=event.provider_event_id,
            provider_ref=transfer.id,
            reason_code="provider_reversed" if target == OperationState.REVERSED else "",
            provider_status=event.event_type,
            payload=transfer.raw,
            source="stripe",
        )
        events.apply(operation, fact, actor=ACTOR, now=now)
    return Outcome.APPLIED, f"the operation is {operation.state}"


def _file_part(
    operation: Operation, claim: Claim, transfer: Transfer, event: StripeEvent, *, now: dt.datetime
) -> tuple[Outcome, str]:
    """File one part that came back; a decision about an earlier part never covers a later one."""
    return _file(
        claim,
        transfer,
        "partial_provider_reversal",
        "the transfer was reversed in part",
        event,
        now=now,
        key=f"{transfer.id}:{transfer.amount_reversed}",
        more={
            "partyId": operation.party_id,
            "notReversedCents": transfer.amount - transfer.amount_reversed,
        },
    )


def _file(
    claim: Claim,
    transfer: Transfer,
    mismatch_type: str,
    problem: str,
    event: StripeEvent,
    *,
    now: dt.datetime,
    key: str = "",
    more: dict[str, Any] | None = None,
) -> tuple[Outcome, str]:
    """File a fact that fits nothing; the same transfer (or `key`) and kind again is one case."""
    details: dict[str, Any] = {
        "operationId": claim.operation_id,
        "payoutKey": claim.payout_key,
        "transferId": transfer.id,
        "amountCents": transfer.amount,
        "amountReversedCents": transfer.amount_reversed,
        "currency": transfer.currency,
        "destination": transfer.destination,
        "eventId": event.provider_event_id,
        "eventType": event.event_type,
        "problem": problem,
        **(more or {}),
    }
    findings.note(
        tenant_id=claim.tenant_id,
        period=claim.period,
        provider_id=claim.provider_id,
        mismatch_type=mismatch_type,
        mismatch_key=key or transfer.id,
        mismatch_code=f"MONEY_RAIL_{mismatch_type.upper()}",
        severity="high" if mismatch_type == "partial_provider_reversal" else "critical",
        details=details,
        now=now,
    )
    return Outcome.UNMATCHED, problem
