"""What was held for runs and tool calls over a month, from settlements and holds, never from the journal."""

from collections import defaultdict
from typing import Any, Final

from django.db import connection

from settld.kernel.queries.payables import month_bounds

BUCKETS: Final = ("opening", "newHolds", "released", "forfeited", "ending")
_HELD: Final = """
WITH held AS (
  SELECT currency, amount_cents AS cents, released_cents, refunded_cents, locked_at AS held_at,
    resolved_at AS ended_at
  FROM agent_run_settlement WHERE tenant_id = %(tenant_id)s AND locked_at < %(ends_at)s
    AND (resolved_at IS NULL OR resolved_at >= %(starts_at)s)
  UNION ALL
  SELECT currency, held_cents, CASE status WHEN 'released' THEN held_cents ELSE 0 END,
    CASE status WHEN 'refunded' THEN held_cents ELSE 0 END, created_at, resolved_at
  FROM funding_hold WHERE tenant_id = %(tenant_id)s AND created_at < %(ends_at)s
    AND (resolved_at IS NULL OR resolved_at >= %(starts_at)s)
)
SELECT currency,
  coalesce(sum(cents) FILTER (WHERE held_at < %(starts_at)s), 0)::text,
  coalesce(sum(cents) FILTER (WHERE held_at >= %(starts_at)s), 0)::text,
  coalesce(sum(released_cents) FILTER (WHERE ended_at < %(ends_at)s), 0)::text,
  coalesce(sum(refunded_cents) FILTER (WHERE ended_at < %(ends_at)s), 0)::text,
  coalesce(sum(cents) FILTER (WHERE ended_at IS NULL OR ended_at >= %(ends_at)s), 0)::text
FROM held GROUP BY currency
"""
_SETTLED: Final = """
SELECT currency, count(*), coalesce(sum(released_cents), 0)::text, coalesce(sum(refunded_cents), 0)::text
FROM agent_run_settlement
WHERE tenant_id = %(tenant_id)s AND resolved_at >= %(starts_at)s AND resolved_at < %(ends_at)s
GROUP BY currency ORDER BY currency COLLATE "C"
"""


def buckets(*, tenant_id: str, month: str) -> dict[str, dict[str, int]]:
    """Give opening, newHolds, released, forfeited and ending cents by currency; US dollars always."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(BUCKETS, 0))
    found["USD"] = dict.fromkeys(BUCKETS, 0)
    for currency, *cents in _ask(_HELD, tenant_id, month):
        found[currency] = dict(zip(BUCKETS, map(int, cents), strict=True))
    return dict(found)


def settled(*, tenant_id: str, month: str) -> list[dict[str, Any]]:
    """Count what was settled in a month, by currency."""
    return [
        {
            "currency": currency,
            "settlementCount": count,
            "releasedCents": int(released),
            "refundedCents": int(refunded),
        }
        for currency, count, released, refunded in _ask(_SETTLED, tenant_id, month)
    ]


def _ask(query: str, tenant_id: str, month: str) -> list[tuple[Any, ...]]:
    starts_at, ends_at = month_bounds(month)
    with connection.cursor() as cursor:
        cursor.execute(query, {"tenant_id": tenant_id, "starts_at": starts_at, "ends_at": ends_at})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
