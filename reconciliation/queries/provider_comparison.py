"""Compare a period's operations with the provider's own statement of them."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from reconciliation.models import StatementCursor
from reconciliation.queries.comparison import stream
from reconciliation.queries.differences import Differences
from reconciliation.queries.provider_sql import PROVIDER_COMPARISON
from settld.core import clock, money

PROVIDER_GROUPS: Final = (
    "providerOnlyTransfers",
    "missingTransfers",
    "transferMismatches",
    "unrecordedTransfers",
    "unrecordedReversals",
    "reversalsOnlyHere",
    "duplicateTransfers",
)
BEFORE_ALL: Final = dt.datetime(1, 1, 2, tzinfo=dt.UTC)
AFTER_ALL: Final = dt.datetime(9999, 12, 30, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Coverage:
    """Which part of the statement has been read; without `read_at` none of it.

    What lies outside cannot be said to be missing at the provider.
    """

    made_from: dt.datetime | None
    made_to: dt.datetime | None
    read_at: dt.datetime | None
    error_code: str = ""
    error_at: dt.datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """Show it on the wire."""
        return {
            "from": clock.iso(self.made_from),
            "to": clock.iso(self.made_to),
            "readAt": clock.iso(self.read_at),
            "errorCode": self.error_code or None,
            "errorAt": clock.iso(self.error_at),
        }


@dataclass(frozen=True)
class ProviderComparison:
    """What differs from the provider's statement, and the sums over both sides."""

    differences: Differences
    totals: dict[str, int]

    def summary(self) -> dict[str, Any]:
        """Give the sums that the report's hash covers: nothing that changes with the clock alone."""
        totals = self.totals
        return {
            "transferCount": totals["transfer_count"],
            "transferAmountCents": money.exact(totals["transfer_cents"]),
            "reversedAmountCents": money.exact(totals["reversed_cents"]),
            "sentOperationCount": totals["sent_count"],
            "sentAmountCents": money.exact(totals["sent_cents"]),
            "matchedCount": totals["matched_count"],
            "mismatchCount": self.differences.count,
        }


def coverage() -> Coverage:
    """Tell how far the transfers have been read."""
    cursor = StatementCursor.objects.filter(kind="transfers").first()
    if cursor is None:
        return Coverage(None, None, None)
    return Coverage(
        cursor.covered_from, cursor.covered_to, cursor.covered_at, cursor.error_code, cursor.error_at
    )


def compare_with_provider(
    *, tenant_id: str, period: str, provider_id: str, covered: Coverage, lag: dt.timedelta, now: dt.datetime
) -> ProviderComparison:
    """Compare in one statement and one snapshot; see provider_sql. `lag` is what is given to the younger."""
    differences = Differences(PROVIDER_GROUPS)
    parameters = {
        "tenant_id": tenant_id,
        "period": period,
        "provider_id": provider_id,
        "before": now - lag,
        "checked_before": covered.read_at - lag if covered.read_at else BEFORE_ALL,
        "covered_from": covered.made_from or AFTER_ALL,
    }
    return ProviderComparison(differences, stream(PROVIDER_COMPARISON, parameters, differences))
