"""What a payout of a derived statement does in the kernel, in the transaction of its own change.

A statement that the close derived from the journal rests on kernel objects: enqueue reserves them, and
every later state of the operation is followed there. Statements made by hand rest on nothing the kernel
knows, so for them nothing happens here. All locks of ours come before the kernel's (docs/payables.md).
"""

import datetime as dt

from moneyrails.models import Operation
from moneyrails.queries import statement_grounds
from moneyrails.services import gates
from moneyrails.states import OperationState
from settld.closing.models import StatementSource
from settld.closing.queries import PayoutSubject
from settld.core.errors import Conflict, Refusal
from settld.kernel.services import payable_grounds, payables
from settld.ledger.services import months

NUMBER, NAME = 17, "kernel_references"  # as a gate, after those of the spec


class StatementReplaced(Conflict):
    """The month was reopened since the statement was read; nothing was paid."""

    code = "PARTY_STATEMENT_NOT_CLOSED"
    message = "party statement is not closed"


def reserve(subject: PayoutSubject, *, amount_cents: int, recovery_cents: int, now: dt.datetime) -> bool:
    """Take the payout's money out of its payee's wallet; False when another request has paid the statement.

    `amount_cents` leaves over the rail, `recovery_cents` is withheld. Raises StatementReplaced and what
    `payables.reserve` refuses: the payout is off then, with all that was written for it.
    """
    references = statement_grounds.references_of(subject)
    if references is None:
        return True
    _require_standing(subject, now=now)
    reserved = payables.reserve(
        tenant_id=subject.tenant_id,
        operation_id=f"mop_{subject.payout_key}",
        party_id=subject.party_id,
        currency=subject.currency,
        references=references,
        amount_cents=amount_cents,
        recovery_cents=recovery_cents,
        source_hash=subject.statement_hash,
        now=now,
    )
    return reserved.is_new


def verdict(subject: PayoutSubject) -> list[gates.Verdict]:
    """Say of a reserved payout that its references let it pass; nothing of a statement made by hand."""
    if subject.source != StatementSource.DERIVED:
        return []
    return [gates.passed(NUMBER, NAME, references=len(subject.references))]


def foresee(subject: PayoutSubject, *, now: dt.datetime) -> list[gates.Verdict]:
    """Give the verdict that enqueue would find on the references now; writes and locks nothing."""
    refusal = _obstacle(subject, now=now)
    if refusal is None:
        return verdict(subject)
    return [
        gates.passed(NUMBER, NAME) | {"verdict": "refused", "code": refusal.code, "details": refusal.details}
    ]


def follow(operation: Operation, *, now: dt.datetime) -> None:
    """Do in the kernel what the state that an operation has just entered means there.

    The caller holds the operation's lock. Nothing here refuses a provider's event: a month that is closed
    already is stepped over.
    """
    if operation.direction != "payout":
        return
    names = {"tenant_id": operation.tenant_id, "operation_id": operation.operation_id}
    match operation.state:
        case OperationState.CONFIRMED:
            payables.commit(**names, now=now)
        case OperationState.FAILED | OperationState.CANCELLED:
            payables.release(**names, now=now)
        case OperationState.REVERSED:
            payables.return_(**names, source_hash=operation.statement_hash, now=now)


def _obstacle(subject: PayoutSubject, *, now: dt.datetime) -> Refusal | None:
    try:
        references = statement_grounds.references_of(subject)
        if references is not None:
            payable_grounds.require(
                tenant_id=subject.tenant_id,
                party_id=subject.party_id,
                currency=subject.currency,
                references=references,
                gross_cents=subject.payable_cents,
                now=now,
            )
    except Refusal as refusal:
        return refusal
    return None


def _require_standing(subject: PayoutSubject, *, now: dt.datetime) -> None:
    """Hold the statement's month as it is: what a reopen would replace is not paid beside it."""
    month = months.lock_shared(
        tenant_id=subject.tenant_id, month=subject.period, basis=subject.basis, now=now
    )
    if not month.is_closed or month.generation != subject.generation:
        raise StatementReplaced()
