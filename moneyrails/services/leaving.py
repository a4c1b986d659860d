"""What every move of an operation takes along: exposure, debt, movement, and the kernel's side of it."""

import datetime as dt

from moneyrails.models import Operation, ProviderEvent
from moneyrails.services import chargebacks, exposure, kernel_payouts, movements
from moneyrails.states import CALLED_OFF, OperationState
from settld.core.principals import Actor


def changes_debt(operation: Operation, target: str) -> bool:
    """Tell whether a move to this state writes chargeback entries, so that the balance is locked first."""
    if target == OperationState.REVERSED:
        return True
    return target in CALLED_OFF and operation.recovery_applied_cents > 0


def enter(
    operation: Operation,
    target: str,
    *,
    event: ProviderEvent | None,
    provider_ref: str = "",
    reason_code: str,
    actor: Actor,
    at: dt.datetime,
    now: dt.datetime,
) -> None:
    """Move a locked operation and write all that follows from the move.

    The caller holds the operation's lock, and the balance's before it when `changes_debt` says so.
    Raises IllegalMove, or ProviderRefConflict.
    """
    left = operation.state
    operation.enter(target, at=at, now=now, provider_ref=provider_ref, reason_code=reason_code)
    operation.save_move(target)
    movements.record_move(operation, left=left, event=event, at=at, now=now)
    if target == OperationState.REVERSED and event is not None:
        chargebacks.record_reversal(operation, event, actor=actor, now=now)
    if target in CALLED_OFF or target == OperationState.REVERSED:
        chargebacks.release_recovery(operation, actor=actor, at=at, now=now)
    exposure.release(operation, left=left)
    kernel_payouts.follow(operation, now=now)
