"""Carrying out requested closes: an outbox job per request."""

import datetime as dt

from django.db import transaction

from settld.closing.services import close, hold_policy
from settld.core import clock
from settld.core.errors import Refusal
from settld.ledger.models import MonthClose, MonthEvent
from settld.outbox import services as outbox
from settld.outbox.kinds import GiveUp
from settld.outbox.models import OutboxJob

KIND = "closing.close_month"
# Short, since a second worker on the same month only waits for its lock and then finds nothing to do.
LEASE = dt.timedelta(seconds=120)


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


def try_again(*, month: MonthClose, now: dt.datetime) -> None:
    """Make a pending request due at once: wake its job, or owe another when that one has ended.

    A job ends without closing when holds or the books themselves stood in the way.
    """
    key = dedupe_key(str(month.last_event_id))
    if outbox.requeue(tenant_id=month.tenant_id, dedupe_key=key):
        return
    last = month.last_attempt or {}
    if last.get("status") in ("blocked", "failed"):
        outbox.enqueue(
            tenant_id=month.tenant_id,
            kind=KIND,
            dedupe_key=f"{key}:after:{last.get('at')}",
            payload={"month": month.month, "basis": month.basis, "eventId": month.last_event_id},
        )


def carry_out(job: OutboxJob) -> None:
    """Close the month that a job names; a failure is written on the month for people to see."""
    month, basis = job.payload.get("month"), job.payload.get("basis")
    if not isinstance(month, str) or not isinstance(basis, str):
        raise GiveUp("the job names no month")
    now = clock.now()
    try:
        close.close_month(tenant_id=job.tenant_id, month=month, basis=basis, now=now)
    except Refusal as refusal:
        # The books or the settings refuse it, and trying again changes nothing: somebody asks again.
        _note(
            tenant_id=job.tenant_id, month=month, basis=basis, status="failed", reason=refusal.code, now=now
        )
    except Exception as error:
        reason = type(error).__name__
        _note(tenant_id=job.tenant_id, month=month, basis=basis, status="error", reason=reason, now=now)
        raise


def close_requested(*, tenant_id: str | None = None, limit: int = 50, now: dt.datetime | None = None) -> int:
    """Carry out requested closes of one tenant or all, at once and in this process; gives how many."""
    return outbox.drain(kinds=(KIND,), tenant_id=tenant_id, limit=limit, now=now)


def _note(*, tenant_id: str, month: str, basis: str, status: str, reason: str, now: dt.datetime) -> None:
    with transaction.atomic():
        policy = hold_policy.policy_for(tenant_id=tenant_id, month=month)
        MonthClose.objects.filter(tenant_id=tenant_id, month=month, basis=basis, request_pending=True).update(
            last_attempt=close.attempt(at=now, status=status, reason=reason, policy=policy), updated_at=now
        )
