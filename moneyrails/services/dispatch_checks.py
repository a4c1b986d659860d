"""Keeping each look at a doubtful attempt: who looked, what the provider listed or said, what came of it.

A person's act is audited as well, here, so that no act is without its audit row whatever it ends in.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from moneyrails.models import DispatchAttempt, DispatchCheck, Operation
from moneyrails.rails.base import Transfer
from moneyrails.states import CheckKind, CheckOutcome
from settld.audit import services as audit
from settld.core import clock
from settld.core.principals import Actor

ACTIONS = {
    CheckKind.ASK: "MONEY_RAIL_DISPATCH_ASKED",
    CheckKind.REPLAY: "MONEY_RAIL_DISPATCH_REPLAYED",
    CheckKind.SETTLE: "MONEY_RAIL_DISPATCH_RESOLVED",
}


def note(
    operation: Operation,
    attempt: DispatchAttempt,
    *,
    kind: CheckKind,
    outcome: CheckOutcome,
    by: Actor,
    found: Sequence[Transfer] | None = None,
    error: dict[str, Any] | None = None,
    remark: str = "",
    details: dict[str, Any] | None = None,
    now: dt.datetime,
) -> None:
    """Add one look to an attempt, in the transaction of what it led to.

    A refuted settlement changed nothing and is not audited. `found` is None when the provider was not
    listed, and empty when it had nothing.
    """
    DispatchCheck(
        tenant_id=attempt.tenant_id,
        attempt=attempt,
        kind=kind,
        outcome=outcome,
        checked_by=by.principal_id,
        request_id=by.request_id or "",
        found=None if found is None else [shown(transfer) for transfer in found],
        error=error,
        note=remark,
        checked_at=now,
    ).save(force_insert=True)
    if kind in ACTIONS and outcome != CheckOutcome.REFUTED:
        transfer_ids = sorted(transfer.transfer_id for transfer in found or ())
        audit.append(
            tenant_id=operation.tenant_id,
            actor=by,
            action=ACTIONS[kind],
            target_type="money_rail_operation",
            target_id=operation.operation_id,
            details={
                "providerId": operation.provider_id,
                "operationId": operation.operation_id,
                "attempt": attempt.attempt,
                "attemptId": str(attempt.pk),
                "outcome": outcome.value,
                "transferIds": transfer_ids,
                **(details or {}),
            },
            at=now,
        )


def shown(transfer: Transfer) -> dict[str, Any]:
    """Write a provider's transfer down as it was seen."""
    return {
        "transferId": transfer.transfer_id,
        "amountCents": transfer.amount_cents,
        "currency": transfer.currency,
        "destination": transfer.destination,
        "operationId": transfer.operation_id,
        "createdAt": clock.iso(transfer.created_at),
    }


def disowned(attempt: DispatchAttempt) -> frozenset[str]:
    """Name transfers that a person saw, and declared not ours, when settling earlier attempts as not sent.

    Costs nothing for a first attempt, which has no earlier ones.
    """
    if attempt.attempt <= 1:
        return frozenset()
    looks = DispatchCheck.objects.filter(
        tenant_id=attempt.tenant_id,
        attempt__operation_id=attempt.operation_id,
        kind=CheckKind.SETTLE,
        outcome=CheckOutcome.NOT_SENT,
    )
    return frozenset(
        str(transfer["transferId"])
        for found in looks.values_list("found", flat=True)
        for transfer in found or []
    )
