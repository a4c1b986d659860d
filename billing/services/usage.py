"""The counters and the events behind them: each use counted once, a hard limit never passed (INV-42, INV-43).

Every function is part of the caller's transaction, in the entity's tenant scope.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from django.db import connection

from billing.models import UsageCounter, UsageEvent
from billing.services import rows
from billing.services.windows import Window
from billing.states import UsageState

_EVENT_KEY: Final = ("tenant_id", "billable_entity", "entitlement_code", "usage_event_key")

# An amount above the limit is not even a first row; a counter moves only while it stays within the limit.
_ADD: Final = """
INSERT INTO billing_usage_counters AS held
  (tenant_id, billable_entity_id, entitlement_code, window_start_at, window_end_at,
   usage_count, metadata_json, created_at, updated_at)
SELECT %(tenant)s, %(entity)s, %(code)s, %(start)s::timestamptz, %(end)s::timestamptz,
  %(amount)s::bigint, '{}'::jsonb, %(now)s::timestamptz, %(now)s::timestamptz
WHERE %(limit)s::bigint IS NULL OR %(amount)s::bigint <= %(limit)s::bigint
ON CONFLICT (tenant_id, billable_entity_id, entitlement_code, window_start_at, window_end_at)
DO UPDATE SET usage_count = held.usage_count + excluded.usage_count, updated_at = excluded.updated_at
WHERE %(limit)s::bigint IS NULL OR held.usage_count + excluded.usage_count <= %(limit)s::bigint
RETURNING usage_count
"""


@dataclass(frozen=True)
class Use:
    """So many uses of one entitlement of one entity, in the window that their instant lies in."""

    tenant_id: str
    billable_entity_id: int
    entitlement_code: str
    window: Window
    amount: int


def claim_event(use: Use, *, key: str, state: UsageState, now: dt.datetime) -> bool:
    """Enter a use under its key; False when that key was entered before, in whatever window."""
    return rows.insert_once(
        UsageEvent(
            tenant_id=use.tenant_id,
            billable_entity_id=use.billable_entity_id,
            entitlement_code=use.entitlement_code,
            usage_event_key=key,
            window_start_at=use.window.start_at,
            window_end_at=use.window.end_at,
            amount=use.amount,
            state=state,
            created_at=now,
            updated_at=now,
        ),
        target=_EVENT_KEY,
    )


def add(use: Use, *, limit: int | None, now: dt.datetime) -> bool:
    """Move the counter in one statement; False, and nothing moved, when it would pass the limit."""
    with connection.cursor() as cursor:
        cursor.execute(
            _ADD,
            {
                "tenant": use.tenant_id,
                "entity": use.billable_entity_id,
                "code": use.entitlement_code,
                "start": use.window.start_at,
                "end": use.window.end_at,
                "amount": use.amount,
                "limit": limit,
                "now": now,
            },
        )
        return cursor.fetchone() is not None


def used(use: Use) -> int:
    """Read how much was used in the window."""
    counted = UsageCounter.objects.filter(
        tenant_id=use.tenant_id,
        billable_entity_id=use.billable_entity_id,
        entitlement_code=use.entitlement_code,
        window_start_at=use.window.start_at,
        window_end_at=use.window.end_at,
    )
    return counted.values_list("usage_count", flat=True).first() or 0


def take_back(event: UsageEvent) -> bool:
    """Remove a use that was only reserved, and its count; False when it is counted or gone by now."""
    reserved = UsageEvent.objects.filter(tenant_id=event.tenant_id, pk=event.pk, state=UsageState.RESERVED)
    if not reserved.delete()[0]:
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE billing_usage_counters SET usage_count = usage_count - %s, updated_at = now()"
            " WHERE tenant_id = %s AND billable_entity_id = %s AND entitlement_code = %s"
            " AND window_start_at = %s AND window_end_at = %s",
            [
                event.amount,
                event.tenant_id,
                event.billable_entity_id,
                event.entitlement_code,
                event.window_start_at,
                event.window_end_at,
            ],
        )
    return True
