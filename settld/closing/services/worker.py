"""Carrying out requested closes: an outbox job per request."""

import datetime as dt

from django.db import transaction

from settld.closing.services import close
from settld.core import clock
from settld.ledger.models import MonthClose, MonthEvent
from settld.outbox import services as outbox
from settld.outbox.kinds import GiveUp
from settld.outbox.models import OutboxJob

KIND = "closing.close_month"
# Short, since a second worker on the same month only waits for its lock and then finds nothing to do.
LEASE = dt.timedelta(seconds=60)


def dedupe_key(event_id: str) -> str:
    """Name the job of a request."""
    return f"month_close:{event_id}"


def enqueue(*, event: MonthEvent, month: MonthClose) -> None:
    """Owe a close, in the transaction of its request."""
    outbox.enqueue(
        tenant_id=month.tenant_id,
        kind=KIND,
        dedupe_key=dedupe_key(event.event_id),
        payload={"month": month.month, "basis": month.basis, "eventId": event.event_id},
    )


def carry_out(job: OutboxJob) -> None:
    """Close the month that a job names; a failure is written on the month for people to see."""
    month, basis = job.payload.get("month"), job.payload.get("basis")
    if not isinstance(month, str) or not isinstance(basis, str):
        raise GiveUp("the job names no month")
    now = clock.now()
    try:
        close.close_month(tenant_id=job.tenant_id, month=month, basis=basis, now=now)
    except Exception as error:
        _note_failure(tenant_id=job.tenant_id, month=month, basis=basis, reason=type(error).__name__, now=now)
        raise


def close_requested(*, tenant_id: str | None = None, limit: int = 50, now: dt.datetime | None = None) -> int:
    """Carry out requested closes of one tenant or all, at once and in this process; gives how many."""
    return outbox.drain(kinds=(KIND,), tenant_id=tenant_id, limit=limit, now=now)


def _note_failure(*, tenant_id: str, month: str, basis: str, reason: str, now: dt.datetime) -> None:
    with transaction.atomic():
        MonthClose.objects.filter(tenant_id=tenant_id, month=month, basis=basis, request_pending=True).update(
            last_attempt=close.attempt(at=now, status="error", reason=reason), updated_at=now
        )
