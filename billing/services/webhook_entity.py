"""The transaction in which an event is applied to one entity (W3 of spec/checkout-billing.md 8.1)."""

from collections.abc import Callable
from typing import TypeVar

from billing.models import BillableEntity
from billing.providers.facts import EventFacts
from billing.services import locks, transactions
from billing.services.ordering import EventStamp
from billing.services.resolution import Resolved
from billing.states import Writer
from settld.core import failpoints
from settld.stripe_gateway.consumers import Consumed
from settld.stripe_gateway.states import Outcome

T = TypeVar("T")


def write(found: Resolved, work: Callable[[BillableEntity], T], *, writer: Writer | None = None) -> T:
    """Run `work` in one transaction that holds the entity's lock; only a `writer` may touch subscriptions."""

    def locked() -> T:
        entity = locks.lock_entity(entity_id=found.owner.billable_entity_id, writer=writer)
        result = work(entity)
        failpoints.hit("billing.webhook.before_commit")
        return result

    result = transactions.retried(tenant_id=found.owner.tenant_id, work=locked)
    failpoints.hit("billing.webhook.after_commit")
    return result


def stamp_of(event: EventFacts) -> EventStamp:
    """Give what ordering needs of an event."""
    return EventStamp(event_id=event.id, event_type=event.type, created=event.created)


def consumed(found: Resolved, outcome: Outcome, detail: str) -> Consumed:
    """Give the verdict on an event, with whose it is."""
    return Consumed(
        outcome,
        detail,
        tenant_id=found.owner.tenant_id,
        billable_entity_id=found.owner.billable_entity_id,
        operation_key=found.operation_key or "",
    )


def not_ours(event: EventFacts) -> Consumed:
    """Give the verdict on an event about somebody else's object."""
    return Consumed(Outcome.IGNORED, f"{event.type}: not an object of checkout billing")
