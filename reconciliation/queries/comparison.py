"""Compare a period's instructions with the operations of one provider."""

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection

from reconciliation.queries.comparison_sql import COMPARISON
from reconciliation.states import OPERATION_STATES
from settld.core import money, transactions

DOUBT_LIMIT: Final = dt.timedelta(minutes=15)

# The groups in the order in which answers show them.
GROUPS: Final = (
    "missingOperations",
    "amountMismatches",
    "currencyMismatches",
    "terminalFailures",
    "unexpectedOperations",
    "duplicateExpected",
    "indeterminateOperations",
    "unreferencedMovements",
)


@dataclass(frozen=True)
class Comparison:
    """What differs, by group, and the sums over everything that was compared."""

    mismatches: dict[str, list[dict[str, Any]]]
    totals: dict[str, int] = field(default_factory=dict)

    @property
    def row_count(self) -> int:
        """Count the rows over all groups."""
        return sum(len(rows) for rows in self.mismatches.values())

    def summary(self) -> dict[str, Any]:
        """Give the sums as the wire shows them (spec 2.6)."""
        totals = self.totals
        return {
            "expectedPayoutCount": totals["expected_count"],
            "expectedPayoutAmountCents": money.exact(totals["expected_cents"]),
            "operationCount": totals["operation_count"],
            "matchedCount": totals["matched_count"],
            "settledCount": totals["settled_count"],
            "inFlightCount": totals["in_flight_count"],
            "cancelledCount": totals["cancelled_count"],
            "offsetSettledCount": totals["offset_settled_count"],
            "criticalMismatchCount": self.row_count,
            "operationStateCounts": {state: totals[state] for state in OPERATION_STATES},
        }


def compare(
    *, tenant_id: str, period: str, provider_id: str, default_provider_id: str, now: dt.datetime
) -> Comparison:
    """Compare both sides in one statement, so in one snapshot.

    Rows come by operation id, then artifact id, in code point order. `now` only decides which
    dispatches have been in doubt too long. Memory follows the differences, not the payouts compared.
    """
    parameters: dict[str, str | dt.datetime] = {
        "tenant_id": tenant_id,
        "period": period,
        "provider_id": provider_id,
        "default_provider_id": default_provider_id,
        "now": now,
        "doubtful_before": now - DOUBT_LIMIT,
    }
    mismatches: dict[str, list[dict[str, Any]]] = {group: [] for group in GROUPS}
    totals: dict[str, int] = {}
    with transactions.atomic(), connection.cursor() as cursor:
        # A month that has just closed is not in the statistics yet: the planner takes it for a handful
        # of rows and would compare each with each. Hash joins cost a small month nothing.
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute(COMPARISON, parameters)
        for category, _operation_id, _artifact_id, detail in cursor:
            row = json.loads(detail) if isinstance(detail, str) else detail
            if category:
                mismatches[category].append(row)
            else:
                totals = row
        cursor.execute("SET LOCAL enable_nestloop = on")  # a caller's transaction goes on
    return Comparison(mismatches, totals)
