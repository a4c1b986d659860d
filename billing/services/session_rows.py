"""Finding, moving and stamping rows of checkout sessions; whoever calls holds the entity's lock."""

import datetime as dt
from typing import Any, Final

from django.db.models import QuerySet

from billing import states
from billing.models import BillableEntity, CheckoutSession
from billing.provider_time import ProviderTime
from billing.states import BLOCKING, Flow, SessionStatus

COMPLETED: Final = (SessionStatus.COMPLETED_PENDING_SUBSCRIPTION, SessionStatus.COMPLETED_RECONCILED)
TERMINAL: Final = (SessionStatus.COMPLETED_RECONCILED, SessionStatus.EXPIRED, SessionStatus.ABANDONED)


class IllegalSessionMove(Exception):
    """The state machine of 6.1 knows no such way; nothing was written."""


def enter(row: CheckoutSession, status: str, *, now: dt.datetime, reason: str | None = None) -> None:
    """Move a session along 6.1; staying in place is no move. The caller saves."""
    if status == row.status:
        return
    if status not in states.session_moves(flow=row.flow, status=row.status):
        raise IllegalSessionMove(f"a {row.flow} session cannot go from {row.status} to {status}")
    row.status = status
    row.status_reason = reason
    if status in COMPLETED and row.completed_at is None:
        row.completed_at = now


def stamp(
    row: CheckoutSession,
    *,
    provider_event_id: str | None,
    event_created: ProviderTime | None,
    snapshot_at: ProviderTime | None,
) -> None:
    """Keep the newest provider fact that was seen; a session's state does not depend on it (8.4)."""
    if provider_event_id and event_created is not None:
        seen = (event_created.at, provider_event_id)
        known = (row.last_provider_event_created_at, row.last_provider_event_id or "")
        if known[0] is None or seen > known:
            row.last_provider_event_created_at, row.last_provider_event_id = seen
    if snapshot_at is not None and (
        row.last_provider_snapshot_at is None or snapshot_at.at > row.last_provider_snapshot_at
    ):
        row.last_provider_snapshot_at = snapshot_at.at


def fill(row: CheckoutSession, **values: Any) -> None:
    """Set what is not set yet; what is set stays (INV-18)."""
    for name, value in values.items():
        if value is not None and getattr(row, name) is None:
            setattr(row, name, value)


def of_operation(entity: BillableEntity, operation_key: str) -> CheckoutSession | None:
    """Lock and read the one session of an operation; sessions of payment links are found by their own id."""
    rows = _of(entity).filter(operation_key=operation_key).exclude(flow=Flow.PAYMENT_LINK)
    return _locked(rows)


def of_provider_session(entity: BillableEntity, provider_checkout_session_id: str) -> CheckoutSession | None:
    """Lock and read the session that has this id at the provider."""
    return _locked(_of(entity).filter(provider_checkout_session_id=provider_checkout_session_id))


def of_subscription(entity: BillableEntity, provider_subscription_id: str) -> CheckoutSession | None:
    """Lock and read the session that led to this subscription."""
    return _locked(_of(entity).filter(provider_subscription_id=provider_subscription_id))


def blocking(entity: BillableEntity, *, other_than: str | None = None) -> list[CheckoutSession]:
    """Lock and read the subscription-flow sessions in a blocking state, whatever the time.

    One at most (INV-16); `other_than` leaves out the session of an operation.
    """
    rows = _of(entity).filter(flow=Flow.SUBSCRIPTION, status__in=BLOCKING)
    if other_than is not None:
        rows = rows.exclude(operation_key=other_than)
    return list(rows.order_by("id").select_for_update(no_key=True, of=("self",)))


def _of(entity: BillableEntity) -> "QuerySet[CheckoutSession]":
    return CheckoutSession.objects.filter(tenant_id=entity.tenant_id, billable_entity=entity)


def _locked(rows: "QuerySet[CheckoutSession]") -> CheckoutSession | None:
    return rows.select_for_update(no_key=True, of=("self",)).first()
