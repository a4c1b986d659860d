"""What /metrics tells of reconciliation: how fresh the provider's statement is."""

from collections.abc import Iterator

from reconciliation.models import StatementCursor
from settld.api.metrics import Sample


def samples() -> Iterator[Sample]:
    """Give when each list was last read to its end, and whether its last read broke off."""
    for cursor in StatementCursor.objects.order_by("kind"):
        label = {"kind": cursor.kind}
        if cursor.covered_at:
            yield Sample("provider_statement_read_unixtime", cursor.covered_at.timestamp(), label)
        yield Sample("provider_statement_broken_gauge", float(cursor.error_at is not None), label)
