"""Transfers that contradict what we wrote down: after a finding of "not sent", or one too many.

Each becomes a critical case in the transaction that learned of it, and its id stays on the attempt, so
that the payout's page shows both. The same transfer is one case, however often it is heard of.
"""

import datetime as dt
from typing import Any

from moneyrails import findings, states
from moneyrails.models import DispatchAttempt, Operation
from moneyrails.rails.base import Transfer
from moneyrails.states import AttemptStatus
from settld.core import clock

AFTER_NOT_SENT = "transfer_after_not_sent"
SECOND = "second_provider_transfer"
_SECOND_OF_THE_PROVIDER = dt.timedelta(seconds=1)  # providers cut their instants to the second


def predates(transfer: Transfer, attempt: DispatchAttempt) -> bool:
    """Tell whether a listed transfer was there before an attempt could have made it."""
    if not attempt.was_in_doubt:
        return True  # this attempt has sent nothing yet
    if transfer.created_at is None:
        return False
    return transfer.created_at + _SECOND_OF_THE_PROVIDER <= attempt.created_at


def note_after(
    operation: Operation,
    attempt: DispatchAttempt,
    transfer: Transfer,
    *,
    is_held: bool,
    predates: bool,
    now: dt.datetime,
) -> None:
    """Compare a transfer that came to light with what is written; both rows are locked and unchanged yet."""
    wrong = attempt if attempt.status == AttemptStatus.NOT_SENT else None
    if wrong is None and predates:
        wrong = last_not_sent(operation, before=attempt.attempt)
    if wrong is not None:
        note_not_sent_was_wrong(operation, wrong, transfer_id=transfer.transfer_id, now=now)
    is_other = bool(operation.provider_ref) and operation.provider_ref != transfer.transfer_id
    is_late = wrong is None and not is_held and operation.state in states.CALLED_OFF
    if is_other or is_late:
        note_second(operation, attempt, transfer_id=transfer.transfer_id, now=now)


def note_after_event(
    operation: Operation,
    resolved: DispatchAttempt | None,
    *,
    transfer_id: str,
    at: dt.datetime,
    now: dt.datetime,
) -> None:
    """Compare an applied `submitted` event with what a person found before; the operation is locked."""
    if resolved is None:
        wrong = last_not_sent(operation)
    elif resolved.attempt > 1 and at + _SECOND_OF_THE_PROVIDER <= resolved.created_at:
        wrong = last_not_sent(operation, before=resolved.attempt)
    else:
        return
    if wrong is not None:
        note_not_sent_was_wrong(operation, wrong, transfer_id=transfer_id, now=now)


def note_refused_event(operation: Operation, *, transfer_id: str, is_other: bool, now: dt.datetime) -> None:
    """Look at an event that says money left and was refused: a person may have been wrong about it."""
    wrong = last_not_sent(operation)
    if wrong is None:
        return
    if operation.state in states.CALLED_OFF:
        note_not_sent_was_wrong(operation, wrong, transfer_id=transfer_id, now=now)
    elif is_other:
        note_second(operation, wrong, transfer_id=transfer_id, now=now)


def last_not_sent(operation: Operation, *, before: int | None = None) -> DispatchAttempt | None:
    """Give the newest attempt that a person found not to have been sent."""
    if before is not None and before <= 1:
        return None
    settled = DispatchAttempt.objects.filter(
        tenant_id=operation.tenant_id, operation=operation, status=AttemptStatus.NOT_SENT
    )
    if before is not None:
        settled = settled.filter(attempt__lt=before)
    return settled.order_by("-attempt").first()


def note_not_sent_was_wrong(
    operation: Operation, settled: DispatchAttempt, *, transfer_id: str, now: dt.datetime
) -> None:
    """File that a payout which a person found not sent has left after all."""
    if transfer_id and not settled.observed_ref:
        settled.observed_ref = transfer_id
        settled.save(update_fields=["observed_ref"])
    _file(
        operation,
        AFTER_NOT_SENT,
        transfer_id=transfer_id,
        details={
            "settledAttempt": settled.attempt,
            "settledBy": settled.resolved_by,
            "settledAt": clock.iso(settled.resolved_at),
            "settledReason": settled.resolution_reason,
            "problem": "the payout was settled as not sent, and the provider has a transfer for it",
        },
        now=now,
    )


def note_second(
    operation: Operation, attempt: DispatchAttempt, *, transfer_id: str, now: dt.datetime
) -> None:
    """File that the provider has a transfer too many for one operation."""
    _file(
        operation,
        SECOND,
        transfer_id=transfer_id,
        details={
            "attempt": attempt.attempt,
            "transferIds": sorted({name for name in (operation.provider_ref, transfer_id) if name}),
            "problem": "the provider has another transfer for this payout"
            if operation.state not in states.CALLED_OFF
            else f"the provider has a transfer of a {operation.state} operation",
        },
        now=now,
    )


def _file(
    operation: Operation, mismatch_type: str, *, transfer_id: str, details: dict[str, Any], now: dt.datetime
) -> None:
    findings.note(
        tenant_id=operation.tenant_id,
        period=operation.period,
        provider_id=operation.provider_id,
        mismatch_type=mismatch_type,
        mismatch_key=transfer_id or operation.operation_id,
        mismatch_code=f"MONEY_RAIL_{mismatch_type.upper()}",
        severity="critical",
        details={
            "operationId": operation.operation_id,
            "payoutKey": operation.payout_key,
            "transferId": transfer_id or None,
            "amountCents": operation.amount_cents,
            "currency": operation.currency,
            "operationState": str(operation.state),
            "providerRef": operation.provider_ref or None,
            **details,
        },
        now=now,
    )
