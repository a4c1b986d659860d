"""Ending the checkout session that a subscription came from (spec/checkout-billing.md 8.5, last part)."""

import datetime as dt

from billing.models import BillableEntity, BillingRequest, CheckoutSession
from billing.services import correlation, session_rows
from billing.services.session_rows import TERMINAL
from billing.states import PROVIDER, Action, Flow, SessionStatus, SubscriptionStatus


def advance_by_subscription(
    *,
    entity: BillableEntity,
    operation_key: str | None,
    provider_subscription_id: str,
    subscription_status: str,
    request: BillingRequest | None,
    now: dt.datetime,
) -> CheckoutSession | None:
    """Bring the session that led to a subscription to its end (8.5); None when there is none to bring.

    The session is that of the subscription id, else that of the operation key. open ->
    completed_pending_subscription -> completed_reconciled, or from a hold; an `incomplete` subscription
    moves only what was completed already. Finished sessions only learn the subscription's id. When no row
    exists and `request` is a pending subscription checkout of this key, the session is inserted as
    completed_reconciled without a session id, and the caller finishes the request as succeeded.
    """
    row, of_operation = session_rows.of_subscription_or_operation(
        entity, provider_subscription_id, operation_key
    )
    if row is None and of_operation is not None:
        if of_operation.provider_subscription_id is not None:
            return None  # that operation led to another subscription; this one only carries its label
        row = of_operation
    is_incomplete = subscription_status == SubscriptionStatus.INCOMPLETE
    if row is None:
        return (
            None
            if is_incomplete
            else _insert_reconciled(entity, operation_key, provider_subscription_id, request, now=now)
        )
    if row.flow != Flow.SUBSCRIPTION:
        return None
    has_learnt = session_rows.fill(row, provider_subscription_id=provider_subscription_id)
    if row.status == SessionStatus.OPEN and not is_incomplete:
        session_rows.enter(row, SessionStatus.COMPLETED_PENDING_SUBSCRIPTION, now=now)
        row.save()
    is_done = row.status == SessionStatus.COMPLETED_PENDING_SUBSCRIPTION or not is_incomplete
    is_ending = row.status not in TERMINAL and is_done
    if is_ending:
        session_rows.enter(row, SessionStatus.COMPLETED_RECONCILED, now=now)
    if is_ending or has_learnt:
        row.save()
    return row


def _insert_reconciled(
    entity: BillableEntity,
    operation_key: str | None,
    provider_subscription_id: str,
    request: BillingRequest | None,
    *,
    now: dt.datetime,
) -> CheckoutSession | None:
    if (
        request is None
        or not request.is_pending
        or request.action != Action.CHECKOUT
        or request.operation_key != operation_key
        or correlation.flow_of_request(request) != Flow.SUBSCRIPTION
    ):
        return None
    row = CheckoutSession(
        tenant_id=entity.tenant_id,
        billable_entity=entity,
        provider=PROVIDER,
        flow=Flow.SUBSCRIPTION,
        idempotency_row=request,
        operation_key=request.operation_key,
        provider_subscription_id=provider_subscription_id,
        status=SessionStatus.COMPLETED_RECONCILED,
        completed_at=now,
    )
    row.save(force_insert=True)
    return row
