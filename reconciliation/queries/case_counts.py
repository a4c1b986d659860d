"""Count the queue by type, severity, owner and status, without ever counting all of a long one."""

from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection

from reconciliation.models import Mismatch
from reconciliation.models.mismatch import OPEN
from reconciliation.queries.case_queue import COUNTED_MOST, CaseFilter, in_order, matching
from reconciliation.states import SEVERITY_RANKS

MOST_VALUES: Final = 40

# One pass over at most COUNTED_MOST + 1 rows, grouped four ways.
_FOUR_WAYS: Final = """
WITH counted AS MATERIALIZED ({rows})
SELECT CASE grouping(mismatch_type, severity_rank, triage_owner, triage_status)
         WHEN 7 THEN 'mismatch_type' WHEN 11 THEN 'severity_rank' WHEN 13 THEN 'triage_owner'
         WHEN 14 THEN 'triage_status' ELSE '' END,
       COALESCE(mismatch_type, severity_rank::text, triage_owner, triage_status, ''), count(*)
FROM counted
GROUP BY GROUPING SETS ((mismatch_type), (severity_rank), (triage_owner), (triage_status), ())
"""

# For a queue too long for that: hop from value to value in the index that begins with the column, and
# count each until the limit.
_HOPS: Final = """
(WITH RECURSIVE hop AS (
  (SELECT {column} AS value FROM mismatch WHERE {open} ORDER BY {column} LIMIT 1)
  UNION ALL
  SELECT (SELECT {column} FROM mismatch WHERE {open} AND {column} > hop.value ORDER BY {column} LIMIT 1)
  FROM hop WHERE hop.value IS NOT NULL
)
SELECT '{column}', found.value::text,
       (SELECT count(*) FROM (
          SELECT 1 FROM mismatch WHERE {open} AND {column} = found.value LIMIT {most}) AS counted)
FROM (SELECT value FROM hop WHERE value IS NOT NULL LIMIT {values}) AS found)
"""


@dataclass(frozen=True)
class Counts:
    """How many cases there are by each value.

    With `is_capped` there are more than `total`; then a figure of COUNTED_MOST + 1 stands for that or
    more, and with `is_partial` every figure is that of the most urgent cases alone.
    """

    total: int
    is_capped: bool
    is_partial: bool
    by_type: dict[str, int] = field(default_factory=dict)
    by_severity: dict[str, int] = field(default_factory=dict)
    by_owner: dict[str, int] = field(default_factory=dict)
    by_status: dict[str, int] = field(default_factory=dict)


def counts(*, tenant_id: str, wanted: CaseFilter) -> Counts:
    """Count what a filter lets through: one query, and a second one when it lets too many through."""
    rows = in_order(matching(tenant_id=tenant_id, wanted=wanted), is_by_age=False)
    columns = rows.values("mismatch_type", "severity_rank", "triage_owner", "triage_status")
    query, parameters = columns[: COUNTED_MOST + 1].query.sql_with_params()
    found = _grouped(_FOUR_WAYS.format(rows=query), parameters)
    total = found.get("", {}).get("", 0)
    is_capped = total > COUNTED_MOST
    is_whole_queue = wanted == CaseFilter()
    if is_capped and is_whole_queue:
        found = {"triage_status": found["triage_status"]} | _grouped(*_hops(tenant_id))
    names = {str(rank): name for name, rank in SEVERITY_RANKS.items()}
    severities = found.get("severity_rank", {})
    return Counts(
        total=min(total, COUNTED_MOST),
        is_capped=is_capped,
        is_partial=is_capped and not is_whole_queue,
        by_type=_largest(found.get("mismatch_type", {})),
        by_severity={names[rank]: severities[rank] for rank in sorted(severities)},
        by_owner=_largest(found.get("triage_owner", {})),
        by_status=_largest(found.get("triage_status", {})),
    )


def _hops(tenant_id: str) -> tuple[str, list[Any]]:
    """Spell the statement; its condition is rendered as the indexes' own is, or they would not be used."""
    query = Mismatch.objects.filter(OPEN, tenant_id=tenant_id).query
    condition, parameters = query.where.as_sql(query.get_compiler("default"), connection)
    parts = [
        _HOPS.format(column=column, open=condition, most=COUNTED_MOST + 1, values=MOST_VALUES)
        for column in ("mismatch_type", "severity_rank", "triage_owner")
    ]
    return "UNION ALL".join(parts), list(parameters) * 3 * len(parts)


def _grouped(query: str, parameters: Any) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        for dimension, value, number in cursor:
            found.setdefault(dimension, {})[value] = number
    return found


def _largest(numbers: dict[str, int]) -> dict[str, int]:
    ordered = sorted(numbers.items(), key=lambda pair: (-pair[1], pair[0]))
    return dict(ordered[:MOST_VALUES])
