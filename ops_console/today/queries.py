"""The counts of Today; each function is one query over one tenant's rows."""

import datetime as dt
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, Q

from moneyrails.models import DispatchAttempt, ExposureCounter
from settld.core import clock
from settld.ledger.models import MonthClose

RECENT = dt.timedelta(days=30)
CHART_DAYS = 14

# Counts over all payouts of the tenant, one pass. What happened is counted by when it happened.
_TOTALS = """
SELECT
  count(*) FILTER (WHERE state = 'initiated'),
  coalesce(sum(amount_cents) FILTER (WHERE state = 'initiated'), 0),
  count(*) FILTER (WHERE state = 'submitted'),
  coalesce(sum(amount_cents) FILTER (WHERE state = 'submitted'), 0),
  count(*) FILTER (WHERE confirmed_at >= %(day)s),
  coalesce(sum(amount_cents) FILTER (WHERE confirmed_at >= %(day)s), 0),
  count(*) FILTER (WHERE failed_at >= %(week)s),
  count(*) FILTER (WHERE reversed_at >= %(month)s),
  coalesce(sum(amount_cents) FILTER (WHERE reversed_at >= %(month)s), 0)
FROM money_rail_operation
WHERE tenant_id = %(tenant_id)s AND direction = 'payout'
"""

_DAYS = """
SELECT (initiated_at AT TIME ZONE 'UTC')::date, state, currency, count(*), sum(amount_cents)
FROM money_rail_operation
WHERE tenant_id = %(tenant_id)s AND direction = 'payout' AND initiated_at >= %(since)s
GROUP BY 1, 2, 3
"""


@dataclass(frozen=True)
class Totals:
    """Payouts that wait, and what happened lately."""

    due_count: int
    due_cents: int
    in_flight_count: int
    in_flight_cents: int
    confirmed_today_count: int
    confirmed_today_cents: int
    failed_week_count: int
    reversed_month_count: int
    reversed_month_cents: int


@dataclass(frozen=True)
class DayState:
    """Payouts initiated on one day that are in one state now."""

    day: dt.date
    state: str
    currency: str
    count: int
    amount_cents: int


def day_start(now: dt.datetime) -> dt.datetime:
    """Give the first instant of the UTC day."""
    return now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def totals(*, tenant_id: str, now: dt.datetime) -> Totals:
    """Count payouts that wait and that ended lately."""
    start = day_start(now)
    with connection.cursor() as cursor:
        cursor.execute(
            _TOTALS,
            {
                "tenant_id": tenant_id,
                "day": start,
                "week": start - dt.timedelta(days=6),
                "month": start - dt.timedelta(days=29),
            },
        )
        return Totals(*(int(value) for value in cursor.fetchone()))


def by_day_and_state(*, tenant_id: str, now: dt.datetime) -> list[DayState]:
    """Count the payouts of the last thirty days by day and present state."""
    since = day_start(now) - RECENT + dt.timedelta(days=1)
    with connection.cursor() as cursor:
        cursor.execute(_DAYS, {"tenant_id": tenant_id, "since": since})
        return [
            DayState(day, state, currency, int(n), int(cents)) for day, state, currency, n, cents in cursor
        ]


def doubtful_attempts(*, tenant_id: str) -> dict[str, int]:
    """Count the attempts whose outcome is not known, by status."""
    rows = DispatchAttempt.objects.filter(tenant_id=tenant_id, status__in=["in_doubt", "indeterminate"])
    return dict(rows.values_list("status").annotate(count=Count("pk")).order_by())


def exposure(*, tenant_id: str, now: dt.datetime) -> dict[str, ExposureCounter]:
    """Give today's exposure counters by provider mode."""
    rows = ExposureCounter.objects.filter(tenant_id=tenant_id, day_key=clock.day_key(now))
    return {row.provider_mode: row for row in rows}


@dataclass(frozen=True)
class Months:
    """How many months are open, waiting to be closed, and closed."""

    open_count: int
    pending_count: int
    closed_count: int


def months(*, tenant_id: str) -> Months:
    """Count the tenant's months by status."""
    counted = MonthClose.objects.filter(tenant_id=tenant_id).aggregate(
        open=Count("pk", filter=Q(status="OPEN", request_pending=False)),
        pending=Count("pk", filter=Q(request_pending=True)),
        closed=Count("pk", filter=Q(status="CLOSED")),
    )
    return Months(counted["open"], counted["pending"], counted["closed"])
