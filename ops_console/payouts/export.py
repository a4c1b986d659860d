"""The payout list as a file: the columns are the fields of the API's operation, in its order."""

import csv
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from moneyrails.models import Operation
from ops_console import cursors, sheets
from ops_console.payouts.filters import Filters, payouts
from settld.core import clock, tenancy

MOST_ROWS: Final = 50_000
BATCH: Final = 1_000
SCHEMA: Final = "MoneyRailOperation.v1"

COLUMNS: Final[dict[str, Callable[[Operation], Any]]] = {
    "schemaVersion": lambda _row: SCHEMA,
    "providerId": lambda row: row.provider_id,
    "operationId": lambda row: row.operation_id,
    "tenantId": lambda row: row.tenant_id,
    "direction": lambda row: row.direction,
    "idempotencyKey": lambda row: row.payout_key,
    "amountCents": lambda row: row.amount_cents,
    "currency": lambda row: row.currency,
    "counterpartyRef": lambda row: row.counterparty_ref,
    "metadata": lambda row: json.dumps(
        row.metadata, ensure_ascii=False, sort_keys=True, separators=(",", ":")
    ),
    "state": lambda row: row.state,
    "providerRef": lambda row: row.provider_ref,
    "reasonCode": lambda row: row.reason_code,
    "initiatedAt": lambda row: clock.iso(row.initiated_at),
    "submittedAt": lambda row: clock.iso(row.submitted_at),
    "confirmedAt": lambda row: clock.iso(row.confirmed_at),
    "failedAt": lambda row: clock.iso(row.failed_at),
    "cancelledAt": lambda row: clock.iso(row.cancelled_at),
    "reversedAt": lambda row: clock.iso(row.reversed_at),
    "createdAt": lambda row: clock.iso(row.created_at),
    "updatedAt": lambda row: clock.iso(row.updated_at),
}


def lines(*, tenant_id: str, filters: Filters) -> Iterator[str]:
    """Write the newest rows as CSV, batch by batch; memory does not grow with the file.

    The tenant's scope is entered for each batch, never across a yield, because whoever consumes the
    lines does so outside of the request.
    """
    writer = csv.writer(sheets.Echo())
    yield writer.writerow(COLUMNS)
    place: cursors.Cursor | None = None
    for _ in range(MOST_ROWS // BATCH):
        with tenancy.tenant_scope(tenant_id):
            rows = payouts(tenant_id=tenant_id, filters=filters)
            page = cursors.slice_of(rows, by="initiated_at", place=place, size=BATCH)
        yield "".join(
            writer.writerow([sheets.cell(read(row)) for read in COLUMNS.values()]) for row in page.rows
        )
        place = page.next
        if place is None:
            return
