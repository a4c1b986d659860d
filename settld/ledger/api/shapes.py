"""How the ledger's rows look on the wire."""

from typing import Any

from settld.api import openapi
from settld.core import clock, money
from settld.ledger.queries import AccountRow, BalanceRow, EntryView
from settld.ledger.states import Book

BOOK = openapi.one_of(*Book.values)
# Sums of many amounts, each of which fits: one that no longer does is written as a text of digits.
SUM = {"description": "minor units; a text of digits beyond 2^53-1", "oneOf": [openapi.INT, openapi.TEXT]}
POSTING = openapi.obj(
    {
        "postingId": openapi.TEXT,
        "accountId": openapi.TEXT,
        "amountCents": openapi.CENTS,
        "currency": openapi.TEXT,
    }
)
ALLOCATION = openapi.obj(
    {
        "entryId": openapi.TEXT,
        "postingId": openapi.TEXT,
        "accountId": openapi.TEXT,
        "partyId": openapi.TEXT,
        "partyRole": openapi.TEXT,
        "currency": openapi.TEXT,
        "amountCents": openapi.CENTS,
    }
)
_ENTRY = {
    "schemaVersion": openapi.one_of("LedgerEntry.v1"),
    "tenantId": openapi.TEXT,
    "entryId": openapi.TEXT,
    "book": BOOK,
    "period": openapi.TEXT,
    "at": openapi.INSTANT,
    "memo": openapi.TEXT,
    "sourceType": openapi.TEXT,
    "sourceId": openapi.TEXT,
    "reason": openapi.maybe(openapi.TEXT),
    "postings": openapi.many(POSTING),
    "recordedAt": openapi.INSTANT,
}
ENTRY = openapi.obj(_ENTRY)
LISTED_ENTRY = openapi.obj(_ENTRY | {"allocations": openapi.many(ALLOCATION)})
ENTRY_ANSWER = openapi.obj({"entry": ENTRY, "allocations": openapi.many(ALLOCATION)})
BALANCE = openapi.obj({"accountId": openapi.TEXT, "currency": openapi.TEXT, "book": BOOK, "amountCents": SUM})
ACCOUNT = openapi.obj(
    {
        "accountId": openapi.TEXT,
        "displayName": openapi.maybe(openapi.TEXT),
        "book": BOOK,
        "isOwn": openapi.BOOL,
        "createdAt": openapi.maybe(openapi.INSTANT),
    }
)


def entry_json(view: EntryView) -> dict[str, Any]:
    """Shape an entry (`LedgerEntry.v1`) with its postings; a positive amount is debit."""
    entry = view.entry
    return {
        "schemaVersion": "LedgerEntry.v1",
        "tenantId": entry.tenant_id,
        "entryId": entry.entry_id,
        "book": entry.book,
        "period": entry.period,
        "at": clock.iso(entry.at),
        "memo": entry.memo,
        "sourceType": entry.source_type,
        "sourceId": entry.source_id,
        "reason": entry.reason or None,
        "postings": [
            {
                "postingId": posting.posting_id,
                "accountId": posting.account_id,
                "amountCents": posting.amount_cents,
                "currency": posting.currency,
            }
            for posting in view.postings
        ],
        "recordedAt": clock.iso(entry.recorded_at),
    }


def allocations_json(view: EntryView) -> list[dict[str, Any]]:
    """Shape the shares of an entry's postings."""
    return [
        {
            "entryId": share.entry_id,
            "postingId": f"p{share.posting_no}",
            "accountId": share.account_id,
            "partyId": share.party_id,
            "partyRole": share.party_role,
            "currency": share.currency,
            "amountCents": share.amount_cents,
        }
        for share in view.allocations
    ]


def balance_json(row: BalanceRow) -> dict[str, Any]:
    """Shape what stands on one account in one currency."""
    return {
        "accountId": row.account_id,
        "currency": row.currency,
        "book": row.book,
        "amountCents": money.exact(row.amount_cents),
    }


def account_json(row: AccountRow) -> dict[str, Any]:
    """Shape an account of book general."""
    return {
        "accountId": row.account_id,
        "displayName": row.display_name or None,
        "book": str(Book.GENERAL),
        "isOwn": row.is_own,
        "createdAt": clock.iso(row.created_at),
    }
