"""Finding, moving and stamping rows of checkout sessions; whoever calls holds the entity's lock."""

import datetime as dt
from typing import Any, Final

from billing import states
from billing.models import BillableEntity, CheckoutSession
from billing.provider_time import ProviderTime
from billing.states import BLOCKING, Flow, SessionStatus
from settld.core import rows

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


def fill(row: CheckoutSession, **values: Any) -> bool:
    """Set what is not set yet; what is set stays (INV-18). True if there was anything to set."""
    missing = {
        name: value for name, value in values.items() if value is not None and getattr(row, name) is None
    }
    for name, value in missing.items():
        setattr(row, name, value)
    return bool(missing)


def of_operation(entity: BillableEntity, operation_key: str) -> CheckoutSession | None:
    """Lock and read the one session of an operation; sessions of payment links are found by their own id."""
    return _locked(entity, "operation_key = %s AND flow <> %s", operation_key, Flow.PAYMENT_LINK.value)


def of_provider_session(entity: BillableEntity, provider_checkout_session_id: str) -> CheckoutSession | None:
    """Lock and read the session that has this id at the provider."""
    return _locked(entity, "provider_checkout_session_id = %s", provider_checkout_session_id)


def of_subscription(entity: BillableEntity, provider_subscription_id: str) -> CheckoutSession | None:
    """Lock and read the session that led to this subscription."""
    return _locked(entity, "provider_subscription_id = %s", provider_subscription_id)


def of_subscription_or_operation(
    entity: BillableEntity, provider_subscription_id: str, operation_key: str | None
) -> tuple[CheckoutSession | None, CheckoutSession | None]:
    """Lock and read the session of a subscription and that of an operation, in one statement."""
    found = _all_locked(
        entity,
        "(provider_subscription_id = %s OR (operation_key = %s AND flow <> %s))",
        provider_subscription_id,
        operation_key,
        Flow.PAYMENT_LINK.value,
    )
    of_subscription = (row for row in found if row.provider_subscription_id == provider_subscription_id)
    of_operation = (
        row for row in found if row.operation_key == operation_key and row.flow != Flow.PAYMENT_LINK
    )
    return next(of_subscription, None), next(of_operation, None)


def blocking(entity: BillableEntity, *, other_than: str | None = None) -> list[CheckoutSession]:
    """Lock and read the subscription-flow sessions in a blocking state, whatever the time.

    One at most (INV-16); `other_than` leaves out the session of an operation.
    """
    states_that_block = ", ".join(["%s"] * len(BLOCKING))
    found = _all_locked(
        entity,
        f"flow = %s AND status IN ({states_that_block})",
        Flow.SUBSCRIPTION.value,
        *(status.value for status in BLOCKING),
    )
    return [row for row in found if row.operation_key != other_than]


def _locked(entity: BillableEntity, condition: str, *values: str | None) -> CheckoutSession | None:
    return next(iter(_all_locked(entity, condition, *values)), None)


def _all_locked(entity: BillableEntity, condition: str, *values: str | None) -> list[CheckoutSession]:
    return rows.every(
        CheckoutSession,
        f"tenant_id = %s AND billable_entity_id = %s AND {condition} ORDER BY id FOR NO KEY UPDATE",
        [entity.tenant_id, entity.pk, *values],
    )
