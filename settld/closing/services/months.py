"""Asking for a month's close, and opening it again."""

import datetime as dt
from dataclasses import dataclass

from settld.audit import services as audit
from settld.closing.models import StatementStatus
from settld.closing.queries import current
from settld.closing.services import month_documents, worker
from settld.core import clock, failpoints, transactions
from settld.core.errors import Conflict, NotFound
from settld.core.principals import Actor
from settld.ledger import queries as ledger
from settld.ledger.models import MonthClose, MonthEvent, MonthStatus
from settld.ledger.services import events, months


class MonthCloseNotFound(NotFound):
    """Nobody asked to close the month."""

    message = "month close not found"


class MonthNotClosed(Conflict):
    """Only a closed month can be reopened."""

    code = "MONTH_NOT_CLOSED"
    message = "month is not closed"


class PeriodNotEnded(Conflict):
    """The deployment closes months only once they are over."""

    code = "MONTH_CLOSE_PERIOD_NOT_ENDED"
    message = "the period has not ended"


@dataclass(frozen=True)
class CloseRequest:
    """What came of asking: the event that the worker will carry out, or none when the month is closed."""

    month: MonthClose
    event: MonthEvent | None


def request_close(
    *,
    tenant_id: str,
    month: str,
    basis: str,
    actor: Actor,
    now: dt.datetime,
    requires_ended_period: bool = False,
) -> CloseRequest:
    """Ask for a month's close; a worker carries it out.

    Concurrent requests make one event. Asking again while one is pending gives that event and makes
    its job due at once. Raises PeriodNotEnded. Source: spec/settld-billing-and-finance.md 5.2.
    """
    if requires_ended_period and clock.period_of(now) <= month:
        raise PeriodNotEnded(details={"month": month})
    with transactions.atomic():
        row = months.lock_exclusively(tenant_id=tenant_id, month=month, basis=basis, now=now)
        if row.is_closed:
            return CloseRequest(month=row, event=None)
        if row.request_pending:
            pending = ledger.find_event(tenant_id=tenant_id, event_id=row.last_event_id)
            worker.try_again(month=row, now=now)
            return CloseRequest(month=row, event=pending)
        payload = {"tenantId": tenant_id, "month": month, "basis": basis, "requestedAt": clock.iso(now)}
        event = events.append(
            month=row, event_type="MONTH_CLOSE_REQUESTED", payload=payload, actor=actor, at=now
        )
        row.request_pending, row.requested_at, row.updated_at = True, now, now
        row.save()
        worker.enqueue(event=event, month=row)
        _audit("MONTH_CLOSE_REQUESTED", month=row, event=event, actor=actor, now=now)
        failpoints.hit("close_request.before_commit")
    return CloseRequest(month=row, event=event)


def reopen(
    *, tenant_id: str, month: str, basis: str, reason: str, actor: Actor, now: dt.datetime
) -> MonthEvent:
    """Open a closed month: its statements become OPEN, its operations are not touched.

    The documents of its close are superseded at once; its derived statements are when it is closed again.

    Raises MonthCloseNotFound when nobody ever asked to close it, MonthNotClosed when it is not closed.
    """
    with transactions.atomic():
        found = ledger.find_month(tenant_id=tenant_id, month=month, basis=basis)
        if found is None or found.requested_at is None:
            raise MonthCloseNotFound()
        row = months.lock_exclusively(tenant_id=tenant_id, month=month, basis=basis, now=now)
        if not row.is_closed:
            raise MonthNotClosed()
        payload = {
            "tenantId": tenant_id,
            "month": month,
            "basis": basis,
            "reopenedAt": clock.iso(now),
            "reason": reason,
        }
        event = events.append(
            month=row, event_type="MONTH_CLOSE_REOPENED", payload=payload, actor=actor, at=now
        )
        row.status, row.closed_at, row.reopened_at, row.updated_at = MonthStatus.OPEN, None, now, now
        row.statement_artifact_id = row.statement_artifact_hash = None
        row.generation += 1
        row.save()
        current(tenant_id=tenant_id).filter(period=month, basis=basis, status=StatementStatus.CLOSED).update(
            status=StatementStatus.OPEN, closed_at=None, updated_at=now
        )
        month_documents.supersede(month=row, now=now)
        _audit("MONTH_CLOSE_REOPENED", month=row, event=event, actor=actor, now=now, reason=reason)
    return event


def get(*, tenant_id: str, month: str, basis: str) -> MonthClose:
    """Give a month whose close was asked for; MonthCloseNotFound otherwise."""
    row = ledger.find_month(tenant_id=tenant_id, month=month, basis=basis)
    if row is None or row.requested_at is None:
        raise MonthCloseNotFound()
    return row


def _audit(
    action: str, *, month: MonthClose, event: MonthEvent, actor: Actor, now: dt.datetime, **more: str
) -> None:
    audit.append(
        tenant_id=month.tenant_id,
        actor=actor,
        action=action,
        target_type="month_close",
        target_id=month.stream_id,
        details={"month": month.month, "basis": month.basis, "eventId": event.event_id, **more},
        at=now,
    )
