"""Events about customers and how they pay (spec/checkout-billing.md 7.5, 8.2); they write no subscription."""

from billing import clock
from billing.providers import reading
from billing.providers.facts import EventFacts
from billing.services import payment_methods, refs, webhook_entity
from billing.services.resolution import Resolved
from billing.states import RefKind
from settld.stripe_gateway.consumers import Consumed


def apply(event: EventFacts) -> Consumed:
    """Keep a customer's payment methods; an unknown customer is nobody's, and the event ignored."""
    owner = refs.find(kind=RefKind.CUSTOMER, ref=_customer_of(event))
    if owner is None:
        return webhook_entity.not_ours(event)
    found = Resolved(owner, None)
    with found.correlated():
        outcome = payment_methods.apply_event(event=event, now=clock.now()).outcome
    return webhook_entity.consumed(found, outcome, f"{event.type} {reading.id_of(event.thing.get('id'))}")


def _customer_of(event: EventFacts) -> str | None:
    """Name the customer; a method that was detached names the one that it had before."""
    if event.type.startswith("customer."):
        return reading.required_id(event.thing)
    before = reading.id_of(event.previous_attributes.get("customer"))
    return before or reading.id_of(event.thing.get("customer"))
