"""Reads of the inbox: what waits, and what an object's history is."""

import datetime as dt
from dataclasses import dataclass

from django.db.models import Count, Min, Q, QuerySet

from settld.stripe_gateway.models import StripeEvent, StripeEventConsumption
from settld.stripe_gateway.states import ConsumptionStatus


@dataclass(frozen=True)
class Backlog:
    """What the inbox owes its consumers."""

    waiting: int
    failed: int
    dead: int
    oldest_due_at: dt.datetime | None


def backlog() -> Backlog:
    """Count the consumptions that are not done, in one query."""
    waiting = Q(status__in=[ConsumptionStatus.PENDING, ConsumptionStatus.LEASED])
    numbers = StripeEventConsumption.objects.exclude(status=ConsumptionStatus.DONE).aggregate(
        waiting=Count("id", filter=waiting),
        failed=Count("id", filter=Q(status=ConsumptionStatus.FAILED)),
        dead=Count("id", filter=Q(status=ConsumptionStatus.DEAD)),
        oldest_due_at=Min("next_attempt_at", filter=~Q(status=ConsumptionStatus.DEAD)),
    )
    return Backlog(**numbers)


def events_about(object_id: str) -> QuerySet[StripeEvent]:
    """Give the stored events about one Stripe object, oldest first by Stripe's clock."""
    return StripeEvent.objects.filter(object_id=object_id).order_by("provider_created_at", "id")
