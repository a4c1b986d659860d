"""Which payouts objects were given to, and what payouts rest on."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from settld.core import clock, rows
from settld.kernel.models import PayoutAllocation, PayoutReservation

_OF_REF: Final = """
SELECT allocation.operation_id, reservation.state, allocation.ref_kind, allocation.ref_id,
  allocation.ref_hash, allocation.amount_cents, allocation.currency, allocation.created_at,
  allocation.released_at
FROM payout_allocation allocation JOIN payout_reservation reservation
  ON reservation.tenant_id = allocation.tenant_id AND reservation.operation_id = allocation.operation_id
WHERE allocation.tenant_id = %s AND allocation.ref_id = %s AND allocation.ref_kind = %s
ORDER BY allocation.created_at, allocation.operation_id
"""


@dataclass(frozen=True, slots=True)
class Given:
    """An object given to a payout; `released_at` says when the payout let go of it."""

    operation_id: str
    state: str
    ref_kind: str
    ref_id: str
    ref_hash: str
    amount_cents: int
    currency: str
    created_at: dt.datetime
    released_at: dt.datetime | None

    def as_json(self) -> dict[str, Any]:
        """Shape it for the wire."""
        return {
            "operationId": self.operation_id,
            "state": self.state,
            "amountCents": self.amount_cents,
            "createdAt": clock.iso(self.created_at),
            "releasedAt": clock.iso(self.released_at),
        }


def of_ref(*, tenant_id: str, kind: str, ref_id: str) -> list[Given]:
    """List the payouts that an object was given to, the oldest first; at most one has not let go of it.

    `ref_id` as allocations have it: a journal entry's is `{entryId}#{partyId}`.
    """
    with connection.cursor() as cursor:
        cursor.execute(_OF_REF, [tenant_id, ref_id, kind])
        return [Given(*row) for row in cursor.fetchall()]


def of_operation(*, tenant_id: str, operation_id: str) -> list[PayoutAllocation]:
    """List what a payout rests on, by kind and id."""
    return rows.every(
        PayoutAllocation,
        "tenant_id = %s AND operation_id = %s ORDER BY ref_kind, ref_id",
        [tenant_id, operation_id],
    )


def reservation_of(*, tenant_id: str, operation_id: str) -> PayoutReservation | None:
    """Give a payout's reservation, or None."""
    return rows.first(PayoutReservation, "tenant_id = %s AND operation_id = %s", [tenant_id, operation_id])
