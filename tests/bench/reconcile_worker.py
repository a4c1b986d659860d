"""One size's measurement, in a process whose memory nobody else uses; prints JSON as its last line."""

import datetime as dt
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settld.settings")
django.setup()

from django.db import connection  # noqa: E402

from reconciliation.queries import comparison, provider_comparison  # noqa: E402
from settld.core import clock, tenancy, transactions  # noqa: E402
from tests.bench.reconcile_rows import PERIOD, PROVIDER  # noqa: E402

# The bare comparison: both sides' rows, joined whole, and what differs counted. Nothing is told of them.
BOOKS_FLOOR = """
SELECT count(*), sum(e.amount_cents), count(*) FILTER (WHERE e.amount_cents IS DISTINCT FROM a.amount_cents
  OR e.currency IS DISTINCT FROM a.currency OR a.state IN ('failed', 'reversed'))
FROM (SELECT payout_key, amount_cents, currency FROM artifact WHERE tenant_id = %(t)s
      AND artifact_type = 'PayoutInstruction.v1' AND period = %(p)s) e
FULL OUTER JOIN (SELECT payout_key, amount_cents, currency, state FROM money_rail_operation
      WHERE tenant_id = %(t)s AND direction = 'payout' AND period = %(p)s) a
  ON a.payout_key = e.payout_key
"""
PROVIDER_FLOOR = """
SELECT count(*), sum(l.amount_cents), count(*) FILTER (WHERE l.amount_cents IS DISTINCT FROM o.amount_cents
  OR l.currency IS DISTINCT FROM o.currency OR l.transfer_id IS DISTINCT FROM o.provider_ref
  OR 'stripe_connect:' || l.destination IS DISTINCT FROM o.counterparty_ref)
FROM (SELECT payout_key, amount_cents, currency, transfer_id, destination FROM provider_transfer
      WHERE tenant_id = %(t)s AND provider_id = %(v)s AND period = %(p)s AND withdrawn_at IS NULL) l
FULL OUTER JOIN (SELECT payout_key, amount_cents, currency, provider_ref, counterparty_ref
      FROM money_rail_operation WHERE tenant_id = %(t)s AND provider_id = %(v)s AND direction = 'payout'
      AND period = %(p)s) o
  ON o.payout_key = l.payout_key
"""


def main(tenant_id: str, size: int, rounds: int) -> list[dict[str, Any]]:
    now = clock.now()
    with tenancy.tenant_scope(tenant_id):
        return [
            measure("books", size, rounds, BOOKS_FLOOR, tenant_id, lambda: books(tenant_id, now)),
            measure("provider", size, rounds, PROVIDER_FLOOR, tenant_id, lambda: provider(tenant_id, now)),
        ]


def books(tenant_id: str, now: dt.datetime) -> int:
    found = comparison.compare(
        tenant_id=tenant_id,
        period=PERIOD,
        provider_id=PROVIDER,
        default_provider_id=PROVIDER,
        configured=[PROVIDER],
        now=now,
    )
    return found.differences.count


def provider(tenant_id: str, now: dt.datetime) -> int:
    covered = provider_comparison.Coverage(now - dt.timedelta(days=400), now, now)
    found = provider_comparison.compare_with_provider(
        tenant_id=tenant_id, period=PERIOD, provider_id=PROVIDER, covered=covered,
        lag=dt.timedelta(minutes=15), now=now,
    )  # fmt: skip
    return found.differences.count


def measure(
    side: str, size: int, rounds: int, floor: str, tenant_id: str, ours: Callable[[], int]
) -> dict[str, Any]:
    """Take turns, so that both meet the same machine; the first turn only warms up."""
    floors, mine, count = [], [], 0
    base = memory_mb()
    for _ in range(rounds + 1):
        floors.append(timed(lambda: bare(floor, tenant_id))[0])
        seconds, count = timed(ours)
        mine.append(seconds)
    floors, mine = floors[1:], mine[1:]
    middle = rounds // 2
    return {
        "side": side, "size": size, "floor_seconds": sorted(floors)[middle], "seconds": sorted(mine)[middle],
        "ratios": [b / a for a, b in zip(floors, mine, strict=True)], "rows_found": count,
        "grown_mb": memory_mb() - base,
    }  # fmt: skip


def bare(floor: str, tenant_id: str) -> int:
    with transactions.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute(floor, {"t": tenant_id, "p": PERIOD, "v": PROVIDER})
        return int(cursor.fetchone()[0])


def timed(work: Callable[[], int]) -> tuple[float, int]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def memory_mb() -> float:
    """Give the process's peak."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
