"""Reading usage: events in order, and a month's sums."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db import connection
from django.db.models import Sum

from settld.core import rows
from settld.metering.models import UsageCounter, UsageEvent
from settld.metering.states import BILLED_CURRENCY, EventType

_UNBILLED = """
SELECT currency, sum(amount_cents) FROM billing_usage_event
WHERE tenant_id = %s AND period = %s AND event_type = 'settled_volume'
  AND (currency < 'USD' OR currency > 'USD')
GROUP BY currency HAVING sum(amount_cents) > 0 ORDER BY currency
"""
# A period is the month of the events' time, so going by period first changes nothing in the order.
_LISTED = """id IN (
  SELECT best.id FROM unnest(%s::text[]) AS one (event_type) CROSS JOIN LATERAL (
    SELECT id, occurred_at, event_key FROM billing_usage_event
    WHERE tenant_id = %s AND event_type = one.event_type {where}
    ORDER BY period, occurred_at, event_key LIMIT %s) AS best
  ORDER BY best.occurred_at, best.event_key LIMIT %s OFFSET %s)
ORDER BY occurred_at, event_key"""


@dataclass(frozen=True)
class Usage:
    """A month's use. Units: whole runs and cases; minor units of the billed currency, and of each other."""

    event_count: int = 0
    verified_runs: int = 0
    settlements: int = 0
    settled_volume_cents: int = 0
    arbitration_cases: int = 0
    unbilled_volume: dict[str, int] = field(default_factory=dict)


def events(
    *,
    tenant_id: str,
    period: str | None = None,
    event_type: str | None = None,
    limit: int,
    offset: int = 0,
) -> list[UsageEvent]:
    """Give a page of a tenant's events by time and key.

    The index goes by (period, type, time, key): each type gives its first, and of those the first are taken.
    """
    where = "" if period is None else "AND period = %s"
    types = [event_type] if event_type else list(EventType.values)
    given = [types, tenant_id, *([period] if period else []), limit + offset, limit, offset]
    return rows.every(UsageEvent, _LISTED.format(where=where), given)


def event_count(*, tenant_id: str, period: str | None = None, event_type: str | None = None) -> int:
    """Tell how many events match, from the counters."""
    found = UsageCounter.objects.filter(tenant_id=tenant_id)
    if period is not None:
        found = found.filter(period=period)
    if event_type is not None:
        found = found.filter(event_type=event_type)
    return int(found.aggregate(count=Sum("event_count", default=0))["count"])


def up_to(*, tenant_id: str, period: str, cutoff_at: dt.datetime | None) -> Sequence[UsageEvent]:
    """Give a month's events whose time is not after the cutoff, by key, type, time and hash."""
    found = UsageEvent.objects.filter(tenant_id=tenant_id, period=period)
    if cutoff_at is not None:
        found = found.filter(occurred_at__lte=cutoff_at)
    return list(found.order_by("event_key", "event_type", "occurred_at", "event_hash"))


def usage(*, tenant_id: str, period: str) -> Usage:
    """Read a month's use from its counters; wants a snapshot, as it takes two statements."""
    counters = {
        row.event_type: row for row in UsageCounter.objects.filter(tenant_id=tenant_id, period=period)
    }
    with connection.cursor() as cursor:
        cursor.execute(_UNBILLED, [tenant_id, period])
        unbilled = {currency: int(amount) for currency, amount in cursor.fetchall()}
    none = UsageCounter(event_count=0, quantity=0, amount_cents=0)
    runs = counters.get(EventType.VERIFIED_RUN, none)
    volume = counters.get(EventType.SETTLED_VOLUME, none)
    cases = counters.get(EventType.ARBITRATION_USAGE, none)
    return Usage(
        event_count=runs.event_count + volume.event_count + cases.event_count,
        verified_runs=runs.quantity,
        settlements=volume.quantity,
        settled_volume_cents=volume.amount_cents,
        arbitration_cases=cases.quantity,
        unbilled_volume=unbilled,
    )


def added_up(rows: Iterable[UsageEvent]) -> Usage:
    """Add up events; over a whole month this is what `usage` reads."""
    quantities: Counter[str] = Counter()
    amounts: Counter[str] = Counter()
    count = 0
    for row in rows:
        count += 1
        quantities[row.event_type] += row.quantity
        if row.event_type == EventType.SETTLED_VOLUME:
            amounts[row.currency or BILLED_CURRENCY] += row.amount_cents or 0
    billed = amounts.pop(BILLED_CURRENCY, 0)
    return Usage(
        event_count=count,
        verified_runs=quantities[EventType.VERIFIED_RUN],
        settlements=quantities[EventType.SETTLED_VOLUME],
        settled_volume_cents=billed,
        arbitration_cases=quantities[EventType.ARBITRATION_USAGE],
        unbilled_volume={currency: amounts[currency] for currency in sorted(amounts) if amounts[currency]},
    )
