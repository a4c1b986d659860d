"""What checkout billing makes of the provider's events (spec/checkout-billing.md 8).

The inbox stores each event once and calls `apply` until it returns; several may run at a time, in any order,
each more than once. One transaction per event, on one entity.
"""

from collections.abc import Callable
from typing import Final

from django.conf import settings

from billing.providers import shapes
from billing.providers.facts import EventFacts
from billing.services import (
    payment_method_events,
    webhook_invoices,
    webhook_payment_methods,
    webhook_sessions,
    webhook_subscriptions,
)
from settld.stripe_gateway import consumers
from settld.stripe_gateway.consumers import Consumed
from settld.stripe_gateway.models import StripeEvent
from settld.stripe_gateway.states import Outcome

CONSUMER: Final = "checkout"
# Who owns a type of event, and so which rows it may write (8.2).
OWNERS: Final[dict[str, Callable[[EventFacts], Consumed]]] = {
    **dict.fromkeys(webhook_sessions.EVENT_TYPES, webhook_sessions.apply),
    **dict.fromkeys(webhook_subscriptions.EVENT_TYPES, webhook_subscriptions.apply),
    **dict.fromkeys(webhook_invoices.EVENT_TYPES, webhook_invoices.apply),
    **dict.fromkeys(webhook_invoices.PAYMENT_EVENT_TYPES, webhook_invoices.apply_payment),
    **dict.fromkeys(payment_method_events.EVENT_TYPES, webhook_payment_methods.apply),
}
EVENT_TYPES: Final = tuple(OWNERS)


def register() -> None:
    """Claim our events of the inbox; the door applies them itself, so that the provider hears what came."""
    consumers.register(
        name=CONSUMER,
        event_types=EVENT_TYPES,
        handler=apply,
        inline=True,
        is_on=lambda: settings.BILLING.enabled,
    )


def apply(event: StripeEvent) -> Consumed:
    """Apply one stored event, and say what it came to and whose it is; runs in no transaction.

    Safe to run again for the same event, and beside others. Raises resolution.CorrelationMismatch,
    correlation.SessionCorrelationMismatch or subscription_plans.PlanUnclear (all 409), ProviderProblem and
    ordering.Unsettled (503), OperationalError when a lock did not come, ShapeError for an object that cannot
    be read: nothing was written. What is raised carries whose event it is (consumers.correlation_of), by
    which the inbox raises the guardrail of a failed event, once for each try.
    """
    told = shapes.event_facts(event.body)
    owner = OWNERS.get(told.type)
    if owner is None:
        return Consumed(Outcome.IGNORED, f"{told.type}: not handled")
    return owner(told)
