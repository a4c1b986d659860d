"""Writing down that money moved, with the reference that explains it."""

import datetime as dt

from django.db import connection

from moneyrails.models import Operation, ProviderEvent
from moneyrails.states import MovementKind
from settld.core import ids
from settld.core.errors import Conflict

REFERENCE = "party_statement"
_INSERT = """
INSERT INTO movement (id, tenant_id, operation_id, kind, provider_id, provider_mode, provider_ref,
                      amount_cents, currency, reference_type, reference_id, provider_event_id,
                      at, recorded_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""


class ProviderRefConflict(Conflict):
    """The provider's reference belongs to another movement, or the operation has another one."""

    code = "MONEY_RAIL_PROVIDER_REF_CONFLICT"
    message = "money rail provider event rejected"

    def __init__(self, problem: str) -> None:
        super().__init__(details={"message": problem, "code": type(self).code})


def record(
    operation: Operation,
    kind: MovementKind,
    *,
    provider_ref: str,
    event: ProviderEvent | None,
    at: dt.datetime,
    now: dt.datetime,
) -> None:
    """Add the movement of an operation; the caller holds its row lock.

    Raises ProviderRefConflict when a production provider's reference is already another movement's.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [
                ids.uuid7(), operation.tenant_id, operation.pk, kind.value, operation.provider_id,
                operation.provider_mode, provider_ref, operation.amount_cents, operation.currency,
                REFERENCE, operation.payout_key, event.pk if event else None, at, now,
            ],
        )  # fmt: skip
        if cursor.rowcount != 1:
            raise ProviderRefConflict(f"provider reference {provider_ref} is already recorded")


def record_move(
    operation: Operation, *, left: str, event: ProviderEvent | None, at: dt.datetime, now: dt.datetime
) -> None:
    """Add the movement that a state change stands for, if it stands for one."""
    move = (left, operation.state)
    if operation.state == "submitted":
        kind = MovementKind.TRANSFER
    elif move in (("submitted", "failed"), ("submitted", "cancelled")):
        kind = MovementKind.RETURN
    elif operation.state == "reversed":
        kind = MovementKind.REVERSAL
    else:
        return
    record(operation, kind, provider_ref=operation.provider_ref, event=event, at=at, now=now)
