"""The counter of today's exposure: always the sum it stands for (ruling 18).

It grows in the statement that makes an operation (payout_writes) and shrinks here, as the operation
leaves the states that count. Both happen late in their transaction: the row is hot.
"""

from dataclasses import dataclass

from django.db import connection
from django.db.models import F

from moneyrails import states
from moneyrails.models import ExposureCounter, Operation, fields
from settld.core import clock, transactions

_DIFFERENCES = """
SELECT coalesce(held.provider_mode, real.provider_mode), coalesce(held.day_key, real.day_key),
  coalesce(held.amount_cents, 0), coalesce(real.cents, 0),
  coalesce(held.operation_count, 0), coalesce(real.operations, 0)
FROM (SELECT * FROM exposure_counter WHERE tenant_id = %s) held
FULL JOIN (
  SELECT provider_mode, to_char(initiated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day_key,
    sum(amount_cents)::bigint AS cents, count(*)::integer AS operations
  FROM money_rail_operation
  WHERE tenant_id = %s AND direction = 'payout' AND state = ANY(%s)
  GROUP BY 1, 2
) real ON real.provider_mode = held.provider_mode AND real.day_key = held.day_key
WHERE (coalesce(held.operation_count, 0), coalesce(held.amount_cents, 0)) <>
      (coalesce(real.operations, 0), coalesce(real.cents, 0))
ORDER BY 1, 2
"""


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
        amount_cents=F("amount_cents") - fields.cents(operation.amount_cents),
        operation_count=F("operation_count") - 1,
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

    One statement, so one snapshot: the answer is exact while payouts come and go.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERENCES, [tenant_id, tenant_id, sorted(states.EXPOSED)])
        return [Difference(*row) for row in cursor.fetchall()]
