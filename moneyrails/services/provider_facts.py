"""The rails consumer of the Stripe inbox: transfers that are ours move their operation, or become a case.

An authentic event that matches its operation in every respect is as good as an ingest. One that names
us and does not match changes nothing and is filed as a mismatch.
"""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

from moneyrails import findings
from moneyrails.models import Operation
from moneyrails.queries.operations import OperationNotFound
from moneyrails.rails import stripe as stripe_rail
from moneyrails.services import attempts, events
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
_PERIOD = re.compile(r":period:(\d{4}-(?:0[1-9]|1[0-2])):")


def register() -> None:
    """Claim the inbox's transfer events."""
    consumers.register(name=CONSUMER, event_types=EVENT_TYPES, handler=consume)


@dataclass(frozen=True)
class Claim:
    """Whose transfer the provider says it is, by the metadata that we gave it."""

    tenant_id: str
    provider_id: str
    operation_id: str
    payout_key: str

    @property
    def period(self) -> str:
        """Read the payout's month out of its key."""
        match = _PERIOD.search(self.payout_key)
        return match.group(1) if match else ""


def consume(event: StripeEvent) -> tuple[Outcome, str]:
    """Apply one event of Stripe's; safe to run again, and in any order."""
    transfer = answers.transfer(event.data_object)
    claim = claim_of(transfer)
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


def claim_of(transfer: Transfer) -> Claim | None:
    """Read our metadata; None when the transfer does not carry it."""
    names = ("tenant_id", "provider_id", "operation_id", "payout_key")
    values = {name: transfer.metadata.get(f"settld_{name}", "").strip() for name in names}
    if not values["tenant_id"] or not values["operation_id"] or len(values["tenant_id"]) > 200:
        return None
    return Claim(**values)


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
    wanted = _targets(event, transfer)
    if not wanted:
        return _file(
            claim, transfer, "partial_provider_reversal", "the transfer was reversed in part", event, now=now
        )
    return _walk(operation, event, transfer, claim, wanted, now=now)


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
    """Name the states that the event vouches for, in order; none for a reversal in part."""
    if event.event_type == "transfer.created":
        return ("submitted", "confirmed")
    if transfer.reversed and transfer.amount_reversed == transfer.amount:
        return ("submitted", "confirmed", "reversed")
    return ()


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


def _file(
    claim: Claim,
    transfer: Transfer,
    mismatch_type: str,
    problem: str,
    event: StripeEvent,
    *,
    now: dt.datetime,
) -> tuple[Outcome, str]:
    """File a fact that fits nothing; the same transfer and kind again is one case."""
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
    }
    findings.note(
        tenant_id=claim.tenant_id,
        period=claim.period,
        provider_id=claim.provider_id,
        mismatch_type=mismatch_type,
        mismatch_key=transfer.id,
        mismatch_code=f"MONEY_RAIL_{mismatch_type.upper()}",
        severity="high" if mismatch_type == "partial_provider_reversal" else "critical",
        details=details,
        now=now,
    )
    return Outcome.UNMATCHED, problem
