"""The counter of today's exposure: always the sum it stands for (ruling 18).

It grows in the statement that makes an operation (payout_writes) and shrinks here, as the operation
leaves the states that count. Both happen late in their transaction: the row is hot.
"""

from dataclasses import dataclass

from django.db.models import Count, F, Sum
from django.db.models.functions import TruncDate

from moneyrails import states
from moneyrails.models import ExposureCounter, Operation
from settld.core import clock, transactions


class ExposureBroken(RuntimeError):
    """A counter does not know an operation that it must have counted."""


@dataclass(frozen=True)
class Difference:
    """A counter that does not equal its operations."""

    provider_mode: str
    day_key: str
    counted_cents: int
    actual_cents: int
    counted_operations: int
    actual_operations: int


def release(operation: Operation, *, left: str) -> None:
    """Stop counting an operation that left a counted state; the caller holds its row lock."""
    if operation.direction != "payout" or left not in states.EXPOSED or operation.state in states.EXPOSED:
        return
    transactions.before_commit(lambda: _subtract(operation))


def _subtract(operation: Operation) -> None:
    changed = ExposureCounter.objects.filter(
        tenant_id=operation.tenant_id,
        provider_mode=operation.provider_mode,
        day_key=clock.day_key(operation.initiated_at),
    ).update(
        amount_cents=F("amount_cents") - operation.amount_cents, operation_count=F("operation_count") - 1
    )
    if changed != 1:
        raise ExposureBroken(f"no exposure counter knows {operation.operation_id}")


def current(*, tenant_id: str, provider_mode: str, day_key: str) -> int:
    """Read the sum at risk on a day."""
    row = ExposureCounter.objects.filter(
        tenant_id=tenant_id, provider_mode=provider_mode, day_key=day_key
    ).first()
    return row.amount_cents if row else 0


def check(*, tenant_id: str) -> list[Difference]:
    """Compare every counter of a tenant with its operations; an empty list proves them equal.

    Run inside one transaction at REPEATABLE READ, or while nothing moves, for an exact answer.
    """
    actual = {
        (row["provider_mode"], row["day"].isoformat()): (row["cents"], row["operations"])
        for row in Operation.objects.filter(
            tenant_id=tenant_id, direction="payout", state__in=sorted(states.EXPOSED)
        )
        .annotate(day=TruncDate("initiated_at"))
        .values("provider_mode", "day")
        .annotate(cents=Sum("amount_cents"), operations=Count("pk"))
        .order_by()
    }
    counted = {
        (row.provider_mode, row.day_key): (row.amount_cents, row.operation_count)
        for row in ExposureCounter.objects.filter(tenant_id=tenant_id)
    }
    keys = sorted(actual.keys() | counted.keys())
    rows = [(key, counted.get(key, (0, 0)), actual.get(key, (0, 0))) for key in keys]
    return [
        Difference(mode, day, held[0], real[0], held[1], real[1])
        for (mode, day), held, real in rows
        if held != real
    ]
