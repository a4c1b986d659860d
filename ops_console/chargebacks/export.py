"""The accounts, and one account's ledger, as files; amounts in cents, names as the API spells them."""

import csv
from collections.abc import Callable, Iterator
from typing import Any, Final

from moneyrails.models import ChargebackEntry, PartyBalance
from moneyrails.queries import debt_accounts, debt_ledger
from moneyrails.queries.chargebacks import Account
from moneyrails.queries.debt_accounts import NOTHING, AccountSums
from ops_console import sheets
from ops_console.chargebacks import places
from ops_console.chargebacks.filters import Filters
from settld.core import clock, tenancy

MOST_ROWS: Final = 50_000
BATCH: Final = 1_000


def _operation_id(entry: ChargebackEntry | None) -> str | None:
    return entry.operation.operation_id if entry is not None and entry.operation is not None else None


ACCOUNT_COLUMNS: Final[dict[str, Callable[[PartyBalance, AccountSums], Any]]] = {
    "tenantId": lambda row, _sums: row.tenant_id,
    "partyId": lambda row, _sums: row.party_id,
    "currency": lambda row, _sums: row.currency,
    "providerMode": lambda row, _sums: row.provider_mode,
    "accountOutstandingCents": lambda row, _sums: row.outstanding_cents,
    "outstandingCents": lambda _row, sums: sums.open_cents,
    "totalReversedAmountCents": lambda _row, sums: sums.reversed_cents,
    "totalRecoveredCents": lambda _row, sums: sums.recovered_cents,
    "totalAdjustedCents": lambda _row, sums: sums.adjusted_cents,
    "reversedCount": lambda _row, sums: sums.reversed_count,
    "latestReversedAt": lambda _row, sums: clock.iso(sums.latest_reversed_at),
    "status": lambda _row, sums: "negative_balance" if sums.open_cents > 0 else "clear",
}
ENTRY_COLUMNS: Final[dict[str, Callable[[ChargebackEntry], Any]]] = {
    "tenantId": lambda row: row.tenant_id,
    "partyId": lambda row: row.party_id,
    "currency": lambda row: row.currency,
    "providerMode": lambda row: row.provider_mode,
    "seq": lambda row: row.seq,
    "kind": lambda row: row.kind,
    "amountCents": lambda row: row.amount_cents,
    "outstandingAfterCents": lambda row: row.outstanding_after_cents,
    "operationId": lambda row: _operation_id(row),
    "payoutKey": lambda row: row.payout_key,
    "reversalOperationId": lambda row: _operation_id(row.reversal),
    "reasonCode": lambda row: row.reason_code,
    "note": lambda row: row.note,
    "recordedBy": lambda row: row.recorded_by,
    "at": lambda row: clock.iso(row.at),
    "recordedAt": lambda row: clock.iso(row.recorded_at),
}


def accounts(*, tenant_id: str, filters: Filters) -> Iterator[str]:
    """Write the filtered accounts as CSV, batch by batch; the scope is never held across a yield."""
    writer = csv.writer(sheets.Echo())
    yield writer.writerow(ACCOUNT_COLUMNS)
    place: places.Place | None = None
    for _ in range(MOST_ROWS // BATCH):
        with tenancy.tenant_scope(tenant_id):
            rows = debt_accounts.accounts(tenant_id=tenant_id, wanted=filters.wanted)
            page = places.slice_of(rows, by="outstanding_cents", place=place, has_ties=True, size=BATCH)
            sums = debt_accounts.sums(
                tenant_id=tenant_id, of=page.rows, provider_id=filters.provider, period=filters.period
            )
        yield "".join(
            writer.writerow(
                sheets.cell(read(row, sums.get(debt_accounts.account_of(row), NOTHING)))
                for read in ACCOUNT_COLUMNS.values()
            )
            for row in page.rows
        )
        place = page.next
        if place is None:
            return


def ledger(account: Account) -> Iterator[str]:
    """Write an account's entries as CSV, newest first."""
    writer = csv.writer(sheets.Echo())
    yield writer.writerow(ENTRY_COLUMNS)
    place: places.Place | None = None
    for _ in range(MOST_ROWS // BATCH):
        with tenancy.tenant_scope(account.tenant_id):
            page = places.slice_of(debt_ledger.entries(account), by="seq", place=place, size=BATCH)
        yield "".join(
            writer.writerow(sheets.cell(read(row)) for read in ENTRY_COLUMNS.values()) for row in page.rows
        )
        place = page.next
        if place is None:
            return
