"""Taking in provider events: once, by legality, with all that follows from them (spec 2.3)."""

import datetime as dt
from dataclasses import dataclass

from moneyrails import states
from moneyrails.models import Operation, ProviderEvent
from moneyrails.queries import operations
from moneyrails.services import attempts, chargebacks, dispatch, leaving, surplus_transfers
from moneyrails.services.facts import Fact
from moneyrails.services.movements import ProviderRefConflict
from moneyrails.services.replies import Memory, NoMemory
from moneyrails.services.submit_conditions import SubmitInProgress
from moneyrails.states import EventOutcome, OperationState
from settld.audit import services as audit
from settld.core import failpoints, money, rows, transactions
from settld.core.errors import Conflict, Refusal
from settld.core.principals import Actor

_TAKEN_IN = "tenant_id = %s AND operation_id = %s AND dedupe_key = %s AND outcome <> 'rejected'"


class InvalidTransition(Conflict):
    """The operation's state has no move to what the event says; it may have one later."""

    code = "MONEY_RAIL_INVALID_TRANSITION"
    message = "money rail provider event rejected"

    def __init__(self, problem: str) -> None:
        super().__init__(details={"message": problem, "code": type(self).code})


class OpenAttempt(SubmitInProgress):
    """The payout may be on its way, so it has neither failed nor been cancelled yet."""

    message = "money rail provider event rejected"


@dataclass(frozen=True)
class Ingested:
    """The stored event, the operation as it is now, and whether the event changed it."""

    operation: Operation
    event: ProviderEvent
    applied: bool


def ingest(
    *,
    tenant_id: str,
    provider_id: str,
    operation_id: str,
    fact: Fact,
    actor: Actor,
    now: dt.datetime,
    memory: Memory[Ingested] | None = None,
) -> Ingested:
    """Store an event and apply it if the operation's state allows.

    A refused event is kept too, and leaves its key free: redelivered when its turn has come, it is
    applied. Raises OperationNotFound, InvalidTransition, ProviderRefConflict, OpenAttempt, Replayed.
    """
    memory = memory or NoMemory()
    names = {"tenant_id": tenant_id, "provider_id": provider_id, "operation_id": operation_id}
    try:
        with transactions.atomic():
            memory.recall()
            operation = lock_for(fact.event_type, now=now, **names)
            done = apply(operation, fact, actor=actor, now=now)
            memory.keep(done)
            failpoints.hit("ingest.before_commit")
        failpoints.hit("ingest.after_commit")
        return done
    except (InvalidTransition, ProviderRefConflict, OpenAttempt) as refusal:
        failpoints.hit("ingest.before_refused_commit")
        _keep_refused(fact, refusal, now=now, **names)
        raise


def lock_for(
    *event_types: str, tenant_id: str, provider_id: str, operation_id: str, now: dt.datetime
) -> Operation:
    """Lock what events of these types may change: the balance if they change a debt, then the operation."""
    names = {"tenant_id": tenant_id, "provider_id": provider_id, "operation_id": operation_id}
    if set(event_types) & {"failed", "cancelled", "reversed"}:
        seen = operations.get(**names)
        if any(leaving.changes_debt(seen, event_type) for event_type in event_types):
            chargebacks.lock_balance(chargebacks.account_of(seen), now=now)
    return operations.lock(**names)


def apply(operation: Operation, fact: Fact, *, actor: Actor, now: dt.datetime) -> Ingested:
    """Apply a fact to a locked operation: duplicates and same states change nothing."""
    known = rows.first(ProviderEvent, _TAKEN_IN, [operation.tenant_id, operation.pk, fact.dedupe_key])
    if known is not None:
        return Ingested(operation, known, applied=False)
    if operation.state == fact.event_type:
        event = _event(operation, fact, EventOutcome.NOOP, now=now)
        event.save(force_insert=True)
        return Ingested(operation, event, applied=False)
    _require_applicable(operation, fact)
    event = _event(operation, fact, EventOutcome.APPLIED, now=now)
    event.save(force_insert=True)
    _move(operation, event, fact, actor=actor, now=now)
    return Ingested(operation, event, applied=True)


def _require_applicable(operation: Operation, fact: Fact) -> None:
    try:
        states.require_move(operation.state, fact.event_type)
    except states.IllegalMove as error:
        raise InvalidTransition(str(error)) from error
    if fact.provider_ref and operation.provider_ref and fact.provider_ref != operation.provider_ref:
        raise ProviderRefConflict("the operation has another provider reference")
    if fact.event_type in states.CALLED_OFF:
        latest = operations.lock_latest_attempt(operation)
        if latest is not None and latest.is_open:
            raise OpenAttempt(operation)


def _move(operation: Operation, event: ProviderEvent, fact: Fact, *, actor: Actor, now: dt.datetime) -> None:
    resolved = None
    if fact.event_type == OperationState.SUBMITTED:
        resolved = attempts.resolve_by_event(operation, provider_ref=fact.provider_ref, now=now)
        surplus_transfers.note_after_event(
            operation, resolved, transfer_id=fact.provider_ref, at=fact.at, now=now
        )
    leaving.enter(
        operation, fact.event_type, event=event, provider_ref=fact.provider_ref, reason_code=fact.reason_code,
        actor=actor, at=fact.at, now=now,
    )  # fmt: skip
    if resolved is not None:
        dispatch.audit_submission(operation, mode=operation.provider_mode, actor=actor, now=now)
    details = {
        "providerId": operation.provider_id,
        "operationId": operation.operation_id,
        "eventType": fact.event_type,
        "eventId": fact.event_id or None,
        "partyId": operation.party_id,
        "amountCents": operation.amount_cents,
        "reasonCode": fact.reason_code or None,
    }
    action = "MONEY_RAIL_PROVIDER_EVENT_APPLIED"
    if fact.event_type == OperationState.REVERSED:
        action = "MONEY_RAIL_CHARGEBACK_RECORDED"
        owed = chargebacks.outstanding(chargebacks.account_of(operation))
        details["outstandingAfterCents"] = money.exact(owed)
    audit.append(
        tenant_id=operation.tenant_id,
        actor=actor,
        action=action,
        target_type="money_rail_operation",
        target_id=operation.operation_id,
        details=details,
        at=now,
    )


def _keep_refused(
    fact: Fact, refusal: Refusal, *, tenant_id: str, provider_id: str, operation_id: str, now: dt.datetime
) -> None:
    """Keep a refused event; the transaction that refused it has been rolled back."""
    with transactions.atomic():
        operation = operations.get(tenant_id=tenant_id, provider_id=provider_id, operation_id=operation_id)
        event = _event(operation, fact, EventOutcome.REJECTED, now=now)
        event.refusal_code = refusal.code
        event.save(force_insert=True)
        if fact.event_type in states.LEFT_US:
            surplus_transfers.note_refused_event(
                operation,
                transfer_id=fact.provider_ref,
                is_other=isinstance(refusal, ProviderRefConflict),
                now=now,
            )


def _event(operation: Operation, fact: Fact, outcome: EventOutcome, *, now: dt.datetime) -> ProviderEvent:
    return ProviderEvent(
        tenant_id=operation.tenant_id,
        operation=operation,
        provider_id=operation.provider_id,
        event_type=fact.event_type,
        event_id=fact.event_id,
        dedupe_key=fact.dedupe_key,
        provider_status=fact.provider_status,
        provider_ref=fact.provider_ref,
        reason_code=fact.reason_code,
        at=fact.at,
        payload=fact.payload,
        outcome=outcome,
        source=fact.source,
        received_at=now,
    )
