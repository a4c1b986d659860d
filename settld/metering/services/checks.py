"""Proving that the counters are what the events add up to, and that the events are what was hashed."""

from typing import Any

from django.db import connection

from settld.core import tenancy, transactions
from settld.metering.models import UsageCounter, UsageEvent

# An event's amount counts where it is in the billed currency or names none.
_COUNTERS = """
SELECT period, event_type,
  coalesce(kept.event_count, 0), coalesce(kept.quantity, 0), coalesce(kept.amount_cents, 0),
  coalesce(events.event_count, 0), coalesce(events.quantity, 0), coalesce(events.amount_cents, 0)
FROM (SELECT * FROM billing_usage_counter WHERE tenant_id = %s) kept
FULL JOIN (
  SELECT period, event_type, count(*) AS event_count, sum(quantity)::bigint AS quantity,
    coalesce(sum(amount_cents) FILTER (WHERE currency IS NULL OR currency = 'USD'), 0)::bigint AS amount_cents
  FROM billing_usage_event WHERE tenant_id = %s GROUP BY 1, 2
) events USING (period, event_type)
WHERE (coalesce(kept.event_count, 0), coalesce(kept.quantity, 0), coalesce(kept.amount_cents, 0))
  <> (coalesce(events.event_count, 0), coalesce(events.quantity, 0), coalesce(events.amount_cents, 0))
ORDER BY 1, 2
"""
_MEMBERS = ("eventCount", "quantity", "amountCents")


def tenants() -> list[str]:
    """Name the tenants that have used anything."""
    with tenancy.platform_scope(reason="metering checks: find tenants"):
        return sorted(UsageCounter.objects.order_by().values_list("tenant_id", flat=True).distinct())


def check_tenant(tenant_id: str) -> list[dict[str, Any]]:
    """Give every difference of a tenant as of one instant; an empty list is the proof."""
    with tenancy.tenant_scope(tenant_id), transactions.snapshot():
        return [*_counters(tenant_id), *_events(tenant_id)]


def _counters(tenant_id: str) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(_COUNTERS, [tenant_id, tenant_id])
        found = cursor.fetchall()
    return [
        {
            "problem": "usage_counter_differs",
            "tenantId": tenant_id,
            "period": period,
            "eventType": event_type,
            "kept": dict(zip(_MEMBERS, sums[:3], strict=True)),
            "events": dict(zip(_MEMBERS, sums[3:], strict=True)),
        }
        for period, event_type, *sums in found
    ]


def _events(tenant_id: str) -> list[dict[str, Any]]:
    events = UsageEvent.objects.filter(tenant_id=tenant_id).order_by("event_key")
    return [
        {"problem": "usage_event_changed", "tenantId": tenant_id, "eventKey": event.event_key}
        for event in events.iterator(chunk_size=2000)
        if event.compute_hash() != event.event_hash
    ]
