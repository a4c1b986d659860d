"""Events about subscriptions (spec/checkout-billing.md 8.2, 8.5): the only ones that write subscriptions."""

from collections.abc import Mapping
from typing import Any, Final

from billing import clock
from billing.models import BillableEntity
from billing.providers import base, reading, shapes
from billing.providers.facts import Answer, EventFacts, SubscriptionFacts
from billing.services import locks, ordering, resolution, subscriptions, webhook_entity
from billing.services.ordering import Fetched, Verdict
from billing.services.resolution import Resolved, Traces
from billing.states import Writer
from settld.core import tenancy
from settld.stripe_gateway.consumers import Consumed
from settld.stripe_gateway.states import Outcome

EVENT_TYPES: Final = (
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
)


def apply(event: EventFacts) -> Consumed:
    """Project the subscription that an event is about; the only kind of event that writes subscriptions."""
    found = resolution.resolve(_traces(event.thing), provider_event_id=event.id)
    if found is None:
        return webhook_entity.not_ours(event)
    with found.correlated():
        return _apply(event, found)


def _traces(thing: Mapping[str, Any]) -> Traces:
    return Traces(
        metadata=resolution.labels_of(thing),
        customer_id=reading.id_of(thing.get("customer")),
        subscription_id=reading.id_of(thing.get("id")),
    )


def _apply(event: EventFacts, found: Resolved) -> Consumed:
    tenant_id = found.owner.tenant_id
    subscription_id = reading.required_id(event.thing)
    stamp = webhook_entity.stamp_of(event)
    told = _told(event.thing, tenant_id, subscription_id)

    def look() -> tuple[Verdict, int | None]:
        with tenancy.tenant_scope(tenant_id):
            row = subscriptions.stored(tenant_id, subscription_id)
        return ordering.decide(row, stamp), None if row is None else row.revision

    def fetch() -> Answer[SubscriptionFacts]:
        return base.active().retrieve_subscription(subscription_id, profile="worker")

    def write(fetched: Fetched[SubscriptionFacts] | None) -> Outcome:
        def work(entity: BillableEntity) -> Outcome:
            known = locks.lock_subscriptions(entity)
            row = subscriptions.among(known, subscription_id)
            is_final = row is not None and row.is_terminal
            decision = ordering.settle(row, stamp, payload=told, fetched=fetched, is_final=is_final)
            if decision.facts is None:
                if row is not None and decision.is_uncertain:
                    ordering.flag(row)
                return Outcome.STALE
            subscriptions.project(
                entity=entity,
                facts=decision.facts,
                event=stamp,
                snapshot_at=decision.snapshot_at,
                is_uncertain=decision.is_uncertain,
                known=known,
                now=clock.now(),
            )
            return Outcome.APPLIED

        return webhook_entity.write(found, work, writer=Writer.SUBSCRIPTION_PROJECTION)

    outcome = ordering.resolved(look=look, fetch=fetch, apply=write)
    return webhook_entity.consumed(found, outcome, f"subscription {subscription_id}")


def _told(thing: dict[str, Any], tenant_id: str, subscription_id: str) -> SubscriptionFacts:
    """Read the event's subscription; when it does not say when it was made, our row or the provider does.

    Raises ProviderProblem where neither can: the choice among duplicates must not rest on a guess (8.6).
    """
    if thing.get("created") is None:
        with tenancy.tenant_scope(tenant_id):
            row = subscriptions.stored(tenant_id, subscription_id)
        if row is not None:
            created = int(row.provider_subscription_created_at.timestamp())
        else:
            answer = base.active().retrieve_subscription(subscription_id, profile="worker")
            created = answer.facts.created.seconds
        thing = thing | {"created": created}
    return shapes.subscription_facts(thing)
