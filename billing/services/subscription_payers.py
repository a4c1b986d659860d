"""Who pays a subscription, and which of an entity's customers is primary (spec 8.3; INV-34, INV-35)."""

import datetime as dt
from collections.abc import Sequence

from billing.models import BillableEntity, BillingRequest, Customer, Subscription
from billing.providers.facts import SubscriptionFacts
from billing.services import canonical, customers, refs, resolution
from billing.services.ordering import EventStamp
from billing.states import PROVIDER, CustomerOrigin, Flow


def of(
    *,
    entity: BillableEntity,
    facts: SubscriptionFacts,
    row: Subscription | None,
    request: BillingRequest | None,
    event: EventStamp | None,
    now: dt.datetime,
) -> Customer:
    """Give the customer of a subscription, adopting one that only a known operation vouches for.

    `request` is the one that led here, if there is one still: it vouches for the operation that it is of.
    Raises CorrelationMismatch for a customer of another entity, and for one that is not the entity's primary
    customer while no operation of ours vouches for it; a subscription that we know keeps its customer.
    """
    known = Customer.objects.filter(
        tenant_id=entity.tenant_id,
        billable_entity=entity,
        provider=PROVIDER,
        provider_customer_id=facts.customer_id,
    ).first()
    is_settled = known is not None and row is not None and row.billing_customer_id == known.pk
    is_ours = request is not None and request.operation_key == facts.operation_key
    is_vouched = is_settled or is_ours or resolution.knows_operation(entity, facts.operation_key)
    if not is_vouched and (known is None or not known.is_primary):
        raise _mismatch("a customer that nothing of ours vouches for", entity, facts, event)
    if known is not None and known.is_primary:
        return known
    try:
        return customers.adopt(
            entity=entity,
            provider_customer_id=facts.customer_id,
            email=None,
            flow=Flow.SUBSCRIPTION,
            now=now,
        )
    except refs.RefOwnedByAnother as taken:
        raise _mismatch("another entity's customer", entity, facts, event) from taken


def settle(*, entity: BillableEntity, subscriptions: Sequence[Subscription], now: dt.datetime) -> None:
    """Make primary whoever pays the current subscription, else the newest one; the one before steps back.

    A function of the stored subscriptions, which are given, so that the order in which events of two
    subscriptions came does not matter. A customer that the provider has deleted is left aside.
    """
    chosen = canonical.select(subscriptions) or max(
        subscriptions,
        key=lambda row: (row.provider_subscription_created_at, row.provider_subscription_id.encode()),
    )
    payer = chosen.billing_customer
    if payer.is_primary or payer.provider_deleted_at is not None:
        return
    customers.upsert(
        entity=entity,
        provider_customer_id=payer.provider_customer_id,
        email=None,
        origin=CustomerOrigin(payer.origin),
        make_primary=True,
        now=now,
    )


def _mismatch(
    reason: str, entity: BillableEntity, facts: SubscriptionFacts, event: EventStamp | None
) -> resolution.CorrelationMismatch:
    return resolution.mismatch(
        reason,
        operation_key=facts.operation_key,
        provider_event_id=None if event is None else event.event_id,
        entity=entity,
    )
