"""Compare a period's instructions with the operations of one provider."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection

from reconciliation.queries.comparison_sql import COMPARISON, USED_PROVIDERS
from reconciliation.queries.differences import Differences
from reconciliation.states import OPERATION_STATES
from settld.core import money, transactions

_PLANNER: Final = "SET LOCAL enable_nestloop = off"
_PLANNER_BACK: Final = "SET LOCAL enable_nestloop = on"
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

    differences: Differences
    totals: dict[str, int] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """Give the sums as the wire shows them (spec 2.6)."""
        totals = self.totals
        return {
            "expectedPayoutCount": totals["expected_count"],
            "expectedPayoutAmountCents": money.exact(totals["expected_cents"]),
            "operationCount": totals["operation_count"],
            "matchedCount": totals["matched_count"],
            "settledCount": totals["confirmed"] - totals["unasked_confirmed"],
            "inFlightCount": totals["initiated"] + totals["submitted"] - totals["unasked_in_flight"],
            "cancelledCount": totals["cancelled"] - totals["unasked_cancelled"],
            "offsetSettledCount": totals["offset_settled_count"],
            "criticalMismatchCount": self.differences.count,
            "operationStateCounts": {state: totals[state] for state in OPERATION_STATES},
        }


def compare(
    *,
    tenant_id: str,
    period: str,
    provider_id: str,
    default_provider_id: str,
    configured: Sequence[str],
    now: dt.datetime,
) -> Comparison:
    """Compare both sides in one statement, so in one snapshot.

    `configured` names the providers that may get an operation while this runs; with those that the
    tenant has used before they are all there are.

    Rows come by operation id, then artifact id, in code point order. `now` only decides which
    dispatches have been in doubt too long. Memory follows neither the payouts compared nor the differences.
    """
    parameters: dict[str, Any] = {
        "tenant_id": tenant_id,
        "period": period,
        "provider_id": provider_id,
        "default_provider_id": default_provider_id,
        "provider_ids": sorted({*configured, *_used_providers(tenant_id)}),
        "now": now,
        "doubtful_before": now - DOUBT_LIMIT,
    }
    differences = Differences(GROUPS)
    totals = stream(COMPARISON, parameters, differences)
    return Comparison(differences, totals)


def _used_providers(tenant_id: str) -> list[str]:
    with transactions.atomic(), connection.cursor() as cursor:
        cursor.execute(USED_PROVIDERS, {"tenant_id": tenant_id})
        return [row[0] for row in cursor.fetchall()]


def stream(sql: str, parameters: dict[str, Any], differences: Differences) -> dict[str, int]:
    """Run a comparison whose rows are (category, detail), totals first under the category ''."""
    totals: dict[str, int] = {}
    with transactions.atomic(), connection.cursor() as cursor:
        # A month that has just closed is not in the statistics yet: the planner takes it for a handful
        # of rows and would compare each with each. Hash joins cost a small month nothing.
        cursor.execute(_PLANNER)
        # Row by row, without a server-side cursor, which would forbid parallel plans.
        for category, detail in cursor.cursor.stream(sql, parameters):
            row = json.loads(detail) if isinstance(detail, str) else detail
            if category:
                differences.add(category, row)
            else:
                totals = row
        cursor.execute(_PLANNER_BACK)  # a caller's transaction goes on
    return totals
