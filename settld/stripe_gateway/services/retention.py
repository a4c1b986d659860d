"""Emptying the payloads of events that nobody needs any more; the rows themselves stay."""

import datetime as dt

from django.db.models import Exists, OuterRef, Q, QuerySet

from settld.core import transactions
from settld.stripe_gateway.models import StripeEvent, StripeEventConsumption
from settld.stripe_gateway.models.event import SCRUBBED
from settld.stripe_gateway.states import REVIVABLE, ConsumptionStatus

FAILED_STAYS_LONGER = dt.timedelta(days=30)
IN_WORK = (ConsumptionStatus.PENDING, ConsumptionStatus.LEASED)


def scrub_payloads(*, now: dt.datetime, batch: int = 1000, dry_run: bool = False) -> int:
    """Empty the payloads whose time is over, a transaction for each batch; returns how many.

    An event that every consumer is done with goes at its `payload_retention_until`, one that somebody
    failed on thirty days later, one that is being worked on never. A dry run counts and writes nothing.
    Source: spec/checkout-billing.md 12.
    """
    if dry_run:
        return _over(now=now).count()
    total = 0
    while scrubbed := _scrub_batch(now=now, batch=batch):
        total += scrubbed
    return total


def _scrub_batch(*, now: dt.datetime, batch: int) -> int:
    with transactions.atomic(durable=True):
        rows = _over(now=now).order_by("payload_retention_until", "id").select_for_update(skip_locked=True)
        chosen = list(rows.values_list("id", flat=True)[:batch])
        return StripeEvent.objects.filter(pk__in=chosen).update(
            payload=SCRUBBED, payload_retention_until=None
        )


def _over(*, now: dt.datetime) -> QuerySet[StripeEvent]:
    work = StripeEventConsumption.objects.filter(event=OuterRef("pk"))
    is_in_work = Exists(work.filter(status__in=IN_WORK))
    has_failed = Exists(work.filter(status__in=REVIVABLE))
    is_long_over = Q(payload_retention_until__lte=now - FAILED_STAYS_LONGER)
    return StripeEvent.objects.filter(
        ~is_in_work, is_long_over | ~has_failed, payload_retention_until__lte=now
    )
