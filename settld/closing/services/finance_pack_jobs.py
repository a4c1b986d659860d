"""Owing a finance pack: an outbox job per close."""

import datetime as dt
from typing import Final

from settld.ledger.models import MonthClose
from settld.outbox import services as outbox

KIND: Final = "closing.finance_pack"
LEASE: Final = dt.timedelta(minutes=10)


def enqueue(*, month: MonthClose, request_event_id: str) -> None:
    """Owe the pack of a close, in its transaction."""
    outbox.enqueue(
        tenant_id=month.tenant_id,
        kind=KIND,
        dedupe_key=f"finance_pack:{request_event_id}",
        payload={"month": month.month, "basis": month.basis, "generation": month.generation},
    )
