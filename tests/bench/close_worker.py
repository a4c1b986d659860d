"""One size's close, in a process whose memory nobody else uses; prints JSON as its last line."""

import json
import os
import resource
import sys
import time
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settld.settings")
django.setup()

from django.db import connection  # noqa: E402
from django.db.models import Sum  # noqa: E402
from django.db.models.functions import Length  # noqa: E402

from settld.artifacts.models import Artifact  # noqa: E402
from settld.closing.queries import current  # noqa: E402
from settld.closing.services import close, months  # noqa: E402
from settld.core import clock, tenancy, transactions  # noqa: E402
from settld.core.principals import Actor  # noqa: E402
from tests.bench.close_rows import MONTH  # noqa: E402

PLACE = {"month": MONTH, "basis": "settledAt"}
# What any close must read and reckon: sums by party and account, each party's digest, the lines' digests.
SUMS = """
SELECT party_id, party_role, currency, account_id, sum(amount_cents), count(*) FROM ledger_allocation
WHERE tenant_id = %(t)s AND period = %(p)s GROUP BY 1, 2, 3, 4
"""
SHARES = """
SELECT party_id, party_role, currency, encode(sha256(convert_to('[' || string_agg(
    '{"accountId":' || to_json(account_id)::text || ',"amountCents":' || amount_cents || ',"currency":'
    || to_json(currency)::text || ',"entryId":' || to_json(entry_id)::text || ',"partyId":'
    || to_json(party_id)::text || ',"partyRole":' || to_json(party_role)::text || ',"postingId":"p'
    || posting_no || '"}', ',' ORDER BY entry_id, posting_no::text COLLATE "C") || ']', 'UTF8')), 'hex')
FROM ledger_allocation WHERE tenant_id = %(t)s AND period = %(p)s GROUP BY 1, 2, 3
"""
LINES = """
SELECT encode(sha256(convert_to(string_agg(text, ',' ORDER BY place), 'UTF8')), 'hex') FROM (
  SELECT row_number() OVER (ORDER BY a.entry_id, a.posting_no, a.party_id) AS place,
    json_build_object('lineId', a.entry_id || ':p' || a.posting_no || ':' || a.party_id, 'memo', e.memo,
      'at', e.at, 'accountId', a.account_id, 'partyId', a.party_id,
      'amountCents', a.amount_cents)::text AS text
  FROM ledger_allocation a JOIN ledger_entry e ON e.tenant_id = a.tenant_id AND e.entry_id = a.entry_id
  WHERE a.tenant_id = %(t)s AND a.period = %(p)s
) line GROUP BY place / 50000
"""


class Undone(Exception):
    """Takes a measured close back."""


def main(tenant_id: str, size: int, rounds: int) -> dict[str, Any]:
    with tenancy.tenant_scope(tenant_id):
        months.request_close(tenant_id=tenant_id, **PLACE, actor=Actor.system("bench"), now=clock.now())
        base, floors, ours = memory_mb(), [], []
        digests: dict[Any, str] = {}
        for turn in range(rounds):
            started = time.perf_counter()
            digests = bare(tenant_id)
            floors.append(time.perf_counter() - started)
            started = time.perf_counter()
            is_last = turn == rounds - 1
            try:
                with transactions.atomic():
                    close.close_month(tenant_id=tenant_id, **PLACE, now=clock.now())
                    if not is_last:
                        raise Undone
            except Undone:
                pass
            ours.append(time.perf_counter() - started)
        grown = memory_mb() - base
        rows = list(current(tenant_id=tenant_id).filter(period=MONTH))
        written = Artifact.objects.filter(tenant_id=tenant_id).aggregate(n=Sum(Length("body")))["n"]
        return {
            "size": size, "floor_seconds": sorted(floors)[rounds // 2], "seconds": sorted(ours)[rounds // 2],
            "grown_mb": grown, "statements": len(rows), "written_mb": written / 1e6,
            "is_right": is_right(rows, digests),
        }  # fmt: skip


def bare(tenant_id: str) -> dict[Any, str]:
    """Reckon sums and digests with as much memory for sorting as the close has."""
    with transactions.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '256MB'")
        cursor.execute(SUMS, {"t": tenant_id, "p": MONTH})
        cursor.fetchall()
        cursor.execute(SHARES, {"t": tenant_id, "p": MONTH})
        found = {tuple(row[:3]): row[3] for row in cursor.fetchall()}
        cursor.execute(LINES, {"t": tenant_id, "p": MONTH})
        cursor.fetchall()
    return found


def is_right(rows: list[Any], digests: dict[Any, str]) -> bool:
    """Hold each statement's digest against the bare one."""
    stated = {}
    with connection.cursor() as cursor:
        for row in rows:
            cursor.execute(
                "SELECT body::json #>> '{statement,allocationDigest}' FROM artifact"
                " WHERE tenant_id = %s AND artifact_id = %s",
                [row.tenant_id, row.artifact_id],
            )
            stated[row.party_id, row.party_role, row.currency] = cursor.fetchone()[0]
    return stated == digests


def memory_mb() -> float:
    """Give the process's peak."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
