"""Call an operation off before its money has left (spec 2.2)."""

import datetime as dt
from dataclasses import dataclass

from moneyrails.models import Operation
from moneyrails.queries import operations
from moneyrails.rails import providers
from moneyrails.services import chargebacks, leaving
from moneyrails.states import OperationState
from settld.audit import services as audit
from settld.core import failpoints, transactions
from settld.core.errors import Conflict
from settld.core.principals import Actor

DEFAULT_REASON = "cancelled_by_ops"


class CancelInFlight(Conflict):
    """The payout is being sent, or may have been."""

    code = "MONEY_RAIL_CANCEL_IN_FLIGHT"
    message = "money rail cancellation rejected"


class CancelNotSupported(Conflict):
    """The money has left."""

    code = "MONEY_RAIL_CANCEL_NOT_SUPPORTED"
    message = "money rail cancellation rejected"


@dataclass(frozen=True)
class Cancellation:
    """The operation as it is now, and whether this call changed it."""

    operation: Operation
    applied: bool


def cancel(
    *,
    tenant_id: str,
    provider_id: str,
    operation_id: str,
    reason_code: str = "",
    actor: Actor,
    now: dt.datetime,
) -> Cancellation:
    """Cancel an initiated operation, or a submitted one of the sandbox; what is over stays as it is."""
    provider = providers.by_path(provider_id)
    names = {"tenant_id": tenant_id, "provider_id": provider.provider_id, "operation_id": operation_id}
    with transactions.joined():
        seen = operations.get(**names)
        if leaving.changes_debt(seen, OperationState.CANCELLED):
            chargebacks.lock_balance(chargebacks.account_of(seen), now=now)
        operation = operations.lock(**names)
        if operation.state not in (OperationState.INITIATED, OperationState.SUBMITTED):
            return Cancellation(operation, applied=False)
        _require_cancellable(operation)
        left = operation.state
        leaving.enter(
            operation, OperationState.CANCELLED, event=None, reason_code=reason_code or DEFAULT_REASON,
            actor=actor, at=now, now=now,
        )  # fmt: skip
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action="MONEY_RAIL_OPERATION_CANCELLED",
            target_type="money_rail_operation",
            target_id=operation.operation_id,
            details={
                "providerId": operation.provider_id,
                "operationId": operation.operation_id,
                "fromState": left,
                "amountCents": operation.amount_cents,
                "reasonCode": operation.reason_code,
            },
            at=now,
        )
        failpoints.hit("cancel.before_commit")
        return Cancellation(operation, applied=True)


def _require_cancellable(operation: Operation) -> None:
    details = {"operationId": operation.operation_id, "state": operation.state}
    if operation.state == OperationState.SUBMITTED:
        if operation.provider_mode == "production":
            raise CancelNotSupported(details=details)
        return
    latest = operations.lock_latest_attempt(operation)
    # A reference before the submission is a transfer that a sender made after it had lost its lease.
    if operation.provider_ref or (latest is not None and latest.is_open):
        raise CancelInFlight(details=details)
