"""Following a movement of money to its reasons, and a reason to the money that moved for it.

A movement names its party statement. The statement's payout rests on receipts and adjustments of the kernel,
and these on runs. A statement made by hand ends the way: it has references of its own, which nothing checks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from moneyrails.models import Movement, Operation
from settld.closing.models import PartyStatement
from settld.kernel.models import Adjustment, PayoutAllocation, PayoutReservation
from settld.kernel.queries import allocations
from settld.kernel.queries.allocations import Given

_RUNS: Final = """
SELECT allocation.ref_id, coalesce(receipt.run_id, adjustment.run_id)
FROM payout_allocation allocation
LEFT JOIN settlement_receipt receipt ON allocation.ref_kind = 'settlement_receipt'
  AND receipt.tenant_id = allocation.tenant_id AND receipt.receipt_id = allocation.ref_id
LEFT JOIN settlement_adjustment adjustment ON allocation.ref_kind = 'settlement_adjustment'
  AND adjustment.tenant_id = allocation.tenant_id AND adjustment.adjustment_id = allocation.ref_id
WHERE allocation.tenant_id = %s AND allocation.operation_id = %s
  AND coalesce(receipt.run_id, adjustment.run_id) IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why an operation's money moved: its statement, what that rests on, and the runs behind it.

    `allocations` add up to the operation's amount. `corrections` are the kernel's own adjustments of this
    operation: pay withheld, and a payout that was taken back. `run_ids` has the run of each allocation
    that has one, by the allocation's ref_id.
    """

    operation: Operation
    movements: list[Movement]
    statement: PartyStatement | None
    reservation: PayoutReservation | None
    allocations: list[PayoutAllocation]
    corrections: list[Adjustment]
    run_ids: dict[str, str]

    @property
    def explained_cents(self) -> int:
        """Add up what the allocations explain."""
        return sum(row.amount_cents for row in self.allocations)

    @property
    def references(self) -> Sequence[dict[str, Any]]:
        """Give the references as the statement has them, also one made by hand."""
        return self.statement.references if self.statement else []


def of_movement(movement: Movement) -> Reasons:
    """Follow one movement."""
    return of_operation(movement.operation)


def of_operation(operation: Operation) -> Reasons:
    """Follow an operation with all its movements, by when they were recorded."""
    named = {"tenant_id": operation.tenant_id, "operation_id": operation.operation_id}
    statements = PartyStatement.objects.filter(
        tenant_id=operation.tenant_id,
        party_id=operation.party_id,
        period=operation.period,
        statement_hash=operation.statement_hash,
    )
    with connection.cursor() as cursor:
        cursor.execute(_RUNS, [operation.tenant_id, operation.operation_id])
        run_ids = dict(cursor.fetchall())
    return Reasons(
        operation=operation,
        movements=list(
            Movement.objects.filter(tenant_id=operation.tenant_id, operation=operation).order_by(
                "recorded_at", "id"
            )
        ),
        statement=statements.order_by("-generation").first(),
        reservation=allocations.reservation_of(**named),
        allocations=allocations.of_operation(**named),
        corrections=list(Adjustment.objects.filter(**named).order_by("adjustment_id")),
        run_ids=run_ids,
    )


@dataclass(frozen=True, slots=True)
class Paid:
    """A payout that an object was given to; `operation` is None where the debt took all of it."""

    given: Given
    operation: Operation | None
    movements: list[Movement]


def of_reference(*, tenant_id: str, kind: str, ref_id: str) -> list[Paid]:
    """Follow a receipt or an adjustment forward to its payouts, the oldest first."""
    given = allocations.of_ref(tenant_id=tenant_id, kind=kind, ref_id=ref_id)
    operations = {
        row.operation_id: row
        for row in Operation.objects.filter(
            tenant_id=tenant_id, operation_id__in=[row.operation_id for row in given]
        )
    }
    moved: dict[object, list[Movement]] = {}
    found = Movement.objects.filter(tenant_id=tenant_id, operation__in=list(operations.values()))
    for movement in found.order_by("recorded_at", "id"):
        moved.setdefault(movement.operation_id, []).append(movement)
    paid = []
    for row in given:
        operation = operations.get(row.operation_id)
        paid.append(Paid(row, operation, moved.get(operation.pk, []) if operation else []))
    return paid
