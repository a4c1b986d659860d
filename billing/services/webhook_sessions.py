"""Events about checkout sessions (spec/checkout-billing.md 6, 8.2); they write no subscription (INV-24)."""

from collections.abc import Mapping
from typing import Any, Final

from billing import clock
from billing.models import BillableEntity
from billing.providers import reading, shapes
from billing.providers.facts import EventFacts, SessionFacts
from billing.services import (
    checkout_session,
    correlation,
    idempotency,
    locks,
    refs,
    resolution,
    webhook_entity,
)
from billing.services.resolution import Traces
from billing.states import RefKind
from settld.stripe_gateway.consumers import Consumed
from settld.stripe_gateway.states import Outcome

EVENT_TYPES: Final = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
)


def apply(event: EventFacts) -> Consumed:
    """Merge the session that an event is about, and finish the request that it answers.

    The merge does not depend on the order of events (6.2), so nothing is asked of the provider.
    """
    thing = event.thing
    found = resolution.resolve(
        Traces(
            metadata=resolution.labels_of(thing),
            customer_id=reading.id_of(thing.get("customer")),
            subscription_id=reading.id_of(thing.get("subscription")),
            session_id=reading.id_of(thing.get("id")),
            payment_link_id=reading.id_of(thing.get("payment_link")),
        ),
        provider_event_id=event.id,
    )
    if found is None or _is_strangers(thing):
        return webhook_entity.not_ours(event)
    with found.correlated():
        facts = shapes.session_facts(thing)
        webhook_entity.write(found, lambda entity: _merge(entity, facts, event))
    return webhook_entity.consumed(found, Outcome.APPLIED, f"checkout session {facts.id}")


def _is_strangers(thing: Mapping[str, Any]) -> bool:
    """Tell whether a customer of ours has bought something of somebody else's in a shared account."""
    link = refs.find(kind=RefKind.PAYMENT_LINK, ref=reading.id_of(thing.get("payment_link")))
    return link is None and resolution.is_strangers(resolution.labels_of(thing))


def _merge(entity: BillableEntity, facts: SessionFacts, event: EventFacts) -> None:
    now = clock.now()
    locks.lock_subscriptions(entity)
    known = correlation.locate(entity=entity, facts=facts, provider_event_id=event.id)
    locks.lock_sessions(entity)
    session = checkout_session.merge(
        entity=entity,
        operation_key=known.operation_key,
        flow=known.flow,
        facts=facts,
        request=known.request,
        payment_link=known.payment_link,
        provider_event_id=event.id,
        event_created=event.created,
        now=now,
    )
    if known.request is not None:
        idempotency.finalise_from_facts(entity=entity, request=known.request, session=session, now=now)
