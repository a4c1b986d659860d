"""Which of an entity's subscriptions counts, and what becomes of the others (8.6; INV-21, INV-25)."""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from billing.guardrail_codes import Guardrail
from billing.models import BillableEntity, CheckoutSession, Subscription
from billing.services import checkout_session, guardrails, locks, remediation
from billing.states import SubscriptionStatus

PAYMENT_CLASS: Final[dict[str, int]] = {
    SubscriptionStatus.ACTIVE: 0,
    SubscriptionStatus.TRIALING: 0,
    SubscriptionStatus.PAST_DUE: 0,
    SubscriptionStatus.UNPAID: 1,
    SubscriptionStatus.PAUSED: 1,
    SubscriptionStatus.INCOMPLETE: 2,
}


def select(subscriptions: Sequence[Subscription]) -> Subscription | None:
    """Choose among stored rows; the same rows give the same choice in whatever order they come.

    A paid one beats an unpaid one; among equals the one that is current stays, else the older one at the
    provider, else the smaller id. None when all have ended.
    """
    candidates = live(subscriptions)
    return min(candidates, key=_order) if candidates else None


def live(subscriptions: Sequence[Subscription]) -> list[Subscription]:
    """Give the subscriptions that have not ended."""
    return [row for row in subscriptions if not row.is_terminal]


def apply(
    *,
    entity: BillableEntity,
    operation_key: str | None = None,
    provider_event_id: str | None = None,
    subscriptions: Sequence[Subscription] | None = None,
    now: dt.datetime,
) -> Subscription | None:
    """Make the chosen subscription the current one, and owe the cancellation of every other live one.

    In the caller's transaction, which has locked the entity with a `writer` and the subscriptions. Nothing
    is asked of the provider here. When the choice is new, other sessions that block the entity are displaced
    (6.3). Gives the current subscription, None when none is live. `subscriptions` are all of the entity's as
    they are stored, where the caller has them.
    """
    rows = locks.lock_subscriptions(entity) if subscriptions is None else subscriptions
    chosen = select(rows)
    duplicates = [row for row in live(rows) if row is not chosen]
    is_new = chosen is not None and not chosen.is_current
    if duplicates:
        _say(entity, chosen, count=len(duplicates), is_new=is_new, event_id=provider_event_id)
    _flip(entity, rows, chosen, is_new=is_new)
    if chosen is None:
        return None
    for duplicate in duplicates:
        remediation.require(
            entity=entity,
            canonical=chosen,
            duplicate=duplicate,
            operation_key=duplicate.metadata_json.get("operation_key") or operation_key,
            provider_event_id=provider_event_id,
            now=now,
        )
    if is_new:
        checkout_session.displace_others(entity=entity, keep_operation_key=_operation_of(chosen), now=now)
    return chosen


def _order(row: Subscription) -> tuple[int, bool, dt.datetime, bytes]:
    return (
        PAYMENT_CLASS[row.status],
        not row.is_current,
        row.provider_subscription_created_at,
        row.provider_subscription_id.encode(),
    )


def _flip(
    entity: BillableEntity, rows: Sequence[Subscription], chosen: Subscription | None, *, is_new: bool
) -> None:
    """Two statements: one that flips both rows trips the partial index or not, by the order of the rows."""
    leaving = [row for row in rows if row.is_current and row is not chosen]
    if leaving:
        ids = [row.pk for row in leaving]
        Subscription.objects.filter(tenant_id=entity.tenant_id, pk__in=ids).update(is_current=False)
    for row in leaving:
        row.is_current = False
    if chosen is not None and is_new:
        Subscription.objects.filter(tenant_id=entity.tenant_id, pk=chosen.pk).update(is_current=True)
        chosen.is_current = True


def _operation_of(chosen: Subscription) -> str | None:
    """Name the operation that led to a subscription: by its own label, else by the session that knows it."""
    if key := chosen.metadata_json.get("operation_key"):
        return str(key)
    session = CheckoutSession.objects.filter(
        tenant_id=chosen.tenant_id, provider_subscription_id=chosen.provider_subscription_id
    ).first()
    return None if session is None else session.operation_key


def _say(
    entity: BillableEntity, chosen: Subscription | None, *, count: int, is_new: bool, event_id: str | None
) -> None:
    guardrails.emit(
        Guardrail.DUPLICATE_ACTIVE_SUBSCRIPTIONS_DETECTED,
        billable_entity_id=entity.pk,
        provider_event_id=event_id,
        count=count,
    )
    if is_new and chosen is not None:
        guardrails.emit(
            Guardrail.CANONICAL_SELECTION_FALLBACK,
            billable_entity_id=entity.pk,
            provider_event_id=event_id,
            chosen=chosen.provider_subscription_id,
        )
