"""Why an entity may not begin another subscription checkout, in the words of a failure to store."""

import datetime as dt
from typing import Any

from billing.models import BillableEntity, CheckoutSession, Subscription
from billing.services import displacement, session_rows
from billing.states import FailureCode, RequestStatus, SessionStatus

Failure = tuple[FailureCode, dict[str, Any]]


def by_subscription(subscriptions: list[Subscription]) -> Failure | None:
    """Say that a subscription exists; it is changed over the portal, not by another checkout."""
    if any(row.is_current for row in subscriptions):
        return FailureCode.SUBSCRIPTION_EXISTS_USE_PORTAL, {}
    return None


def by_session(entity: BillableEntity, *, other_than: str | None = None, now: dt.datetime) -> Failure | None:
    """Say which session blocks the entity now; `other_than` leaves out that of an operation."""
    holder = displacement.blocking_session(session_rows.blocking(entity, other_than=other_than), now=now)
    return None if holder is None else displacement.blocking_failure(holder)


def end_of(code: FailureCode) -> RequestStatus:
    """Give what a request is that ends with a code: expired when its time is over, otherwise failed."""
    is_over = code == FailureCode.CHECKOUT_RECOVERY_WINDOW_ELAPSED
    return RequestStatus.EXPIRED if is_over else RequestStatus.FAILED


def why_useless(session: CheckoutSession, *, entity: BillableEntity, now: dt.datetime) -> Failure | None:
    """Say why a session is of no use to who asked for it; None while it is."""
    if session.status == SessionStatus.EXPIRED:
        return FailureCode.CHECKOUT_RECOVERY_WINDOW_ELAPSED, {}
    if session.status == SessionStatus.ABANDONED:
        return winner_over(session, entity=entity, now=now)
    return None


def winner_over(loser: CheckoutSession, *, entity: BillableEntity, now: dt.datetime) -> Failure:
    """Say what took the place of an abandoned session; where nothing did, its time is over (6.3).

    The entity is locked, so what blocks now is what displaced it, or what followed that.
    """
    current = Subscription.objects.filter(tenant_id=entity.tenant_id, billable_entity=entity, is_current=True)
    return (
        by_session(entity, other_than=loser.operation_key, now=now)
        or by_subscription(list(current))
        or (FailureCode.CHECKOUT_RECOVERY_WINDOW_ELAPSED, {})
    )
