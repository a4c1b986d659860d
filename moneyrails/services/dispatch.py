"""Writing down what a provider answered: the second transaction of a dispatch (spec 3.4 steps 3 and 4)."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from moneyrails.models import DispatchAttempt, Operation
from moneyrails.queries import operations
from moneyrails.rails.base import Transfer, TransferOrder
from moneyrails.services import attempts, dispatch_checks, movements, surplus_transfers
from moneyrails.services.movements import ProviderRefConflict
from moneyrails.states import AttemptStatus, CheckKind, CheckOutcome, OperationState
from settld.audit import services as audit
from settld.core import clock, failpoints, transactions
from settld.core.errors import Refusal
from settld.core.principals import Actor
from settld.stripe_gateway.outcomes import ProviderFailure, ProviderNotExecuted, ProviderRejected

Also = Callable[[Operation, DispatchAttempt], None]
SENDER = Actor.system("dispatch")


class SubmitFailed(Refusal):
    """The provider did not take the payout, or did not say; the operation stays initiated."""

    status = 502
    code = "MONEY_RAIL_PROVIDER_UPSTREAM_ERROR"
    message = "money rail payout submit failed"


class InvalidResponse(Refusal):
    """The provider said yes to something else, or in a form that says nothing; the attempt is in doubt."""

    status = 502
    code = "MONEY_RAIL_PROVIDER_INVALID_RESPONSE"
    message = "money rail provider answered with an invalid response"


def nothing_else(operation: Operation, attempt: DispatchAttempt) -> None:
    """Write nothing beside an attempt's end."""


@dataclass(frozen=True)
class Dispatch:
    """One leased attempt, on its way to the provider; no transaction is open.

    `kind` and `by` say who looks and why; `disowned` names transfers that a person has declared not ours.
    """

    operation: Operation
    attempt: DispatchAttempt
    order: TransferOrder
    is_doubtful: bool
    kind: CheckKind = CheckKind.SEND
    by: Actor = SENDER
    disowned: frozenset[str] = frozenset()
    opened_at: float = field(default_factory=clock.monotonic)

    @property
    def has_sent_before(self) -> bool:
        """Tell whether its key may have reached the provider already."""
        return self.attempt.was_in_doubt

    def is_fresh(self) -> bool:
        """Tell whether enough of the lease is left to send and write down the answer."""
        return clock.monotonic() - self.opened_at < attempts.LEASE.total_seconds() / 2


@dataclass(frozen=True)
class Recorded:
    """What T2 found: `is_ours` false means that somebody else has written the end."""

    operation: Operation
    is_ours: bool


def record_transfer(
    dispatch: Dispatch,
    transfer: Transfer,
    *,
    mode: str,
    actor: Actor,
    now: dt.datetime,
    is_found: bool = False,
) -> Recorded:
    """Record the transfer of an attempt; call inside T2. `is_found`: listed by the provider, not answered.

    If the lease was lost the transfer's id is kept on the attempt, fills an empty provider_ref, and
    nothing else changes. Raises ProviderRefConflict when the id is already another movement's.
    """
    operation, attempt = lock(dispatch)
    is_held = attempts.is_held(attempt, token=dispatch.attempt.lease_token)
    surplus_transfers.note_after(
        operation, attempt, transfer, is_held=is_held,
        predates=is_found and surplus_transfers.predates(transfer, dispatch.attempt), now=now,
    )  # fmt: skip
    if dispatch.is_doubtful or not is_held:
        outcome = CheckOutcome.ADOPTED if is_found else CheckOutcome.SENT
        remark = "" if is_held else "somebody else had written the end by then"
        dispatch_checks.note(
            operation, attempt, kind=dispatch.kind, outcome=outcome, by=dispatch.by, found=[transfer],
            remark=remark, now=now,
        )  # fmt: skip
    if not is_held:
        attempt.observed_ref = transfer.transfer_id
        attempt.save(update_fields=["observed_ref"])
        if not operation.provider_ref:
            operation.provider_ref = transfer.transfer_id
            operation.save(update_fields=["provider_ref"])
        return Recorded(operation, is_ours=False)
    attempt.answer = {
        "transferId": transfer.transfer_id,
        "amountCents": transfer.amount_cents,
        "currency": transfer.currency,
        "destination": transfer.destination,
    }
    attempts.close(attempt, AttemptStatus.SUCCEEDED, now=now, observed_ref=transfer.transfer_id)
    enter_submitted(operation, provider_ref=transfer.transfer_id, mode=mode, actor=actor, now=now)
    return Recorded(operation, is_ours=True)


def enter_submitted(
    operation: Operation, *, provider_ref: str, mode: str, actor: Actor, now: dt.datetime
) -> None:
    """Move a locked operation to submitted: state, movement and the one audit of a submission."""
    operation.enter(OperationState.SUBMITTED, at=now, now=now, provider_ref=provider_ref)
    operation.save_move(OperationState.SUBMITTED)
    movements.record_move(operation, left="initiated", event=None, at=now, now=now)
    audit_submission(operation, mode=mode, actor=actor, now=now)


def audit_submission(operation: Operation, *, mode: str, actor: Actor, now: dt.datetime) -> None:
    """Say once per real submission who sent what where."""
    audit.append(
        tenant_id=operation.tenant_id,
        actor=actor,
        action="MONEY_RAIL_OPERATION_SUBMITTED",
        target_type="money_rail_operation",
        target_id=operation.operation_id,
        details={
            "providerId": operation.provider_id,
            "operationId": operation.operation_id,
            "providerRef": operation.provider_ref or None,
            "mode": mode,
            "applied": True,
        },
        at=now,
    )


def record_failure(
    dispatch: Dispatch,
    failure: ProviderFailure,
    *,
    now: dt.datetime,
    also: Also = nothing_else,
    is_counted: bool = True,
) -> None:
    """Record that a call did not succeed, by what is known about the money.

    A refusal, or a send that never happened, ends the attempt only if no earlier send of its key was
    in doubt; a doubt never turns into a no.
    """
    if isinstance(failure, ProviderRejected):
        status, outcome = AttemptStatus.REJECTED, CheckOutcome.REJECTED
    elif isinstance(failure, ProviderNotExecuted):
        status, outcome = AttemptStatus.RETRYABLE, CheckOutcome.NOT_EXECUTED
    else:
        status, outcome = AttemptStatus.IN_DOUBT, CheckOutcome.NO_ANSWER
    _close(
        dispatch,
        status,
        outcome=outcome,
        error=dict(failure.error),
        also=also,
        is_counted=is_counted,
        now=now,
    )


def record_difference(dispatch: Dispatch, transfer: Transfer, *, now: dt.datetime) -> None:
    """Record that the provider made a transfer other than the one ordered: in doubt, with its id."""
    error = {
        "message": "the provider's transfer differs from the order",
        "category": "unknown",
        "amountCents": transfer.amount_cents,
        "currency": transfer.currency,
        "destination": transfer.destination,
    }
    _close(
        dispatch,
        AttemptStatus.IN_DOUBT,
        outcome=CheckOutcome.UNCLEAR,
        error=error,
        observed_ref=transfer.transfer_id,
        found=(transfer,),
        now=now,
    )


def give_up(
    dispatch: Dispatch,
    *,
    reason: str,
    observed_ref: str = "",
    now: dt.datetime,
    found: Sequence[Transfer] | None = None,
    also: Also = nothing_else,
) -> None:
    """Leave an attempt to a person: nothing automatic is sent for it any more."""
    _close(
        dispatch,
        AttemptStatus.INDETERMINATE,
        outcome=CheckOutcome.UNCLEAR if found or observed_ref else CheckOutcome.NOTHING_FOUND,
        error={"message": reason, "category": "unknown"},
        observed_ref=observed_ref,
        found=found,
        also=also,
        now=now,
    )


def stay_in_doubt(
    dispatch: Dispatch,
    *,
    reason: str,
    now: dt.datetime,
    found: Sequence[Transfer] | None = None,
    outcome: CheckOutcome = CheckOutcome.NOTHING_FOUND,
    also: Also = nothing_else,
    is_counted: bool = True,
) -> None:
    """Give the lease back without having learned what became of the money."""
    _close(
        dispatch,
        AttemptStatus.IN_DOUBT,
        outcome=outcome,
        error={"message": reason, "category": "unknown"},
        found=found,
        also=also,
        is_counted=is_counted,
        now=now,
    )


def refusal_for(failure: ProviderFailure, operation: Operation) -> Refusal:
    """Turn a provider's failure into the answer of a submit."""
    if failure.outcome == "unusable":
        return InvalidResponse(
            details={"operationId": operation.operation_id, "providerId": operation.provider_id}
        )
    refusal = SubmitFailed(details=dict(failure.error))
    if failure.is_circuit_open:
        refusal.status = 503
    return refusal


def _close(
    dispatch: Dispatch,
    status: AttemptStatus,
    *,
    now: dt.datetime,
    outcome: CheckOutcome,
    error: dict[str, Any],
    observed_ref: str = "",
    found: Sequence[Transfer] | None = None,
    also: Also = nothing_else,
    is_counted: bool = True,
) -> None:
    """Close without a clear success. A doubt never turns into a no, and what is left to people stays so."""
    failpoints.hit("submit.before_t2_failure")
    with transactions.atomic(durable=True):
        operation, attempt = lock(dispatch)
        dispatch_checks.note(
            operation,
            attempt,
            kind=dispatch.kind,
            outcome=outcome,
            by=dispatch.by,
            found=found,
            error=error,
            now=now,
        )
        if attempts.is_held(attempt, token=dispatch.attempt.lease_token):
            if attempt.was_in_doubt and status in (AttemptStatus.REJECTED, AttemptStatus.RETRYABLE):
                status = AttemptStatus.IN_DOUBT
            if attempt.status == AttemptStatus.INDETERMINATE:
                status = AttemptStatus.INDETERMINATE
            attempts.close(
                attempt, status, now=now, observed_ref=observed_ref, error=error, is_counted=is_counted
            )
            also(operation, attempt)
        elif observed_ref and not attempt.observed_ref:
            attempt.observed_ref = observed_ref
            attempt.save(update_fields=["observed_ref"])
    failpoints.hit("submit.after_t2_failure")


def lock(dispatch: Dispatch) -> tuple[Operation, DispatchAttempt]:
    """Lock in the global order: operation, then attempt."""
    operation = operations.lock(
        tenant_id=dispatch.operation.tenant_id,
        provider_id=dispatch.operation.provider_id,
        operation_id=dispatch.operation.operation_id,
    )
    attempt = DispatchAttempt.objects.select_for_update().get(pk=dispatch.attempt.pk)
    return operation, attempt


__all__ = [
    "Dispatch",
    "InvalidResponse",
    "ProviderRefConflict",
    "Recorded",
    "SubmitFailed",
    "audit_submission",
    "enter_submitted",
    "give_up",
    "lock",
    "record_difference",
    "record_failure",
    "record_transfer",
    "refusal_for",
    "stay_in_doubt",
]
