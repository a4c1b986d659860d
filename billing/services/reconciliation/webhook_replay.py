"""Applying stored events again: those that failed and are due, those that got stuck (section 8.8).

The rows, their lease, the waits and the count of attempts are the inbox's own; its worker does the same every
few seconds. Whichever of the two comes first has the lease. An event whose payload retention has emptied is
fetched again by the inbox, and stays failed (`payload_expired`) when the provider has it no more.
"""

import datetime as dt
from typing import Final

from django.db.models import Q

from billing import clock
from billing.services import leasing
from settld.core.transactions import atomic
from settld.stripe_gateway.models import StripeEventConsumption
from settld.stripe_gateway.services import consumption
from settld.stripe_gateway.states import ConsumptionStatus

CONSUMER: Final = "checkout"
STUCK_AFTER: Final = dt.timedelta(minutes=5)
MOST: Final = 200


def due_ids(*, now: dt.datetime, limit: int = MOST) -> list[int]:
    """List the consumptions that are to be tried again: failed and due, or begun long ago and not ended.

    One that was given up after its last attempt is not among them: an operator, or the provider's own
    redelivery, brings it back.
    """
    has_failed = Q(status=ConsumptionStatus.FAILED, next_attempt_at__lte=now)
    is_unread = Q(
        status=ConsumptionStatus.PENDING, created_at__lte=now - STUCK_AFTER, next_attempt_at__lte=now
    )
    is_abandoned = Q(
        status=ConsumptionStatus.LEASED, updated_at__lte=now - STUCK_AFTER, lease_expires_at__lte=now
    )
    rows = StripeEventConsumption.objects.filter(has_failed | is_unread | is_abandoned, consumer=CONSUMER)
    return list(rows.order_by("next_attempt_at", "id").values_list("id", flat=True)[:limit])


def replay(consumption_id: int) -> bool | None:
    """Try one again now; gives whether it is applied, None when somebody else has it in hand."""
    now = clock.now()
    consumption.reclaim_abandoned(now=now)
    with atomic(durable=True):
        job = (
            StripeEventConsumption.objects.select_related("event")
            .select_for_update(skip_locked=True, of=("self",))
            .filter(
                pk=consumption_id,
                consumer=CONSUMER,
                status__in=(ConsumptionStatus.PENDING, ConsumptionStatus.FAILED),
                next_attempt_at__lte=now,
            )
            .first()
        )
        if job is None:
            return None
        consumption.take(job, owner=leasing.worker_name(), now=now)
        job.save(update_fields=consumption.LEASE_FIELDS)
    return consumption.consume(job) is None
