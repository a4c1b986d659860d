"""The one write of the journal: all entries of an effect, their postings, shares and balances together."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import DatabaseError

from settld.core import ids, transactions
from settld.core.errors import Refusal
from settld.ledger.drafts import (
    EntryDraft,
    LedgerAccountUnknown,
    LedgerAllocationMismatch,
    LedgerBalanceOutOfRange,
    LedgerEntryConflict,
    LedgerEntryUnbalanced,
    LedgerPeriodClosed,
    Line,
    Share,
    content_hash,
    require_sound,
)
from settld.ledger.services import journal_writes

__all__ = [
    "EntryDraft",
    "LedgerAccountUnknown",
    "LedgerAllocationMismatch",
    "LedgerBalanceOutOfRange",
    "LedgerEntryConflict",
    "LedgerEntryUnbalanced",
    "LedgerPeriodClosed",
    "Line",
    "Posted",
    "Share",
    "post",
]

# What the database's own rules mean to a caller; require_sound has seen most of it before.
_MEANINGS: Final[dict[str, type[Refusal]]] = {
    "ledger_period_open": LedgerPeriodClosed,
    "ledger_entry_balanced": LedgerEntryUnbalanced,
    "ledger_entry_postings": LedgerEntryUnbalanced,
    "ledger_posting_amount": LedgerEntryUnbalanced,
    "ledger_posting_currency": LedgerEntryUnbalanced,
    "ledger_posting_account": LedgerAccountUnknown,
    "ledger_balance_account": LedgerAccountUnknown,
    "ledger_posting_allocated": LedgerAllocationMismatch,
    "ledger_allocation_amount": LedgerAllocationMismatch,
    "ledger_allocation_once": LedgerAllocationMismatch,
    "ledger_entry_once": LedgerEntryConflict,
    "ledger_entry_complete": LedgerEntryConflict,
    "ledger_posting_once": LedgerEntryConflict,
    "ledger_shares_complete": LedgerEntryConflict,
}
_NUMBER_TOO_LARGE: Final = "22003"


@dataclass(frozen=True, slots=True)
class Posted:
    """What a call to `post` added.

    `balances` holds, by (account_id, currency), the new total of each exact account that a new entry
    touched; accounts touched only by entries that stood already are not in it.
    """

    new_entry_ids: frozenset[str]
    balances: dict[tuple[str, str], int]


def post(*, tenant_id: str, entries: Sequence[EntryDraft], now: dt.datetime) -> Posted:
    """Write entries with their postings, shares and balances, in the caller's transaction or an own one.

    Give ALL entries of an effect in one call: month rows are locked shared first, then balance rows in one
    order over all entries, so two effects never wait for each other in a circle. An entry that stands
    already with the same content is left alone and adds nothing to balances, also when its month is closed.

    Accounts have to exist (`accounts.ensure`). Raises LedgerEntryUnbalanced, LedgerAccountUnknown,
    LedgerAllocationMismatch (400), LedgerEntryConflict, LedgerPeriodClosed, LedgerBalanceOutOfRange (409):
    nothing of the call stays then, and the refusal has to leave the transaction.
    Source: spec/settld-billing-and-finance.md 5.1.
    """
    hashes = _sound(entries)
    if not hashes:
        return Posted(frozenset(), {})
    drafts = list({draft.entry_id: draft for draft in entries}.values())
    with transactions.joined():
        transactions.explain_failure(_meaning)
        try:
            written = journal_writes.write(_described(tenant_id, drafts, hashes, now))
        except DatabaseError as error:
            refusal = LedgerBalanceOutOfRange() if _is_too_large(error) else _meaning(error)
            if refusal is None:
                raise
            raise refusal from error
        if written.unknown:
            raise LedgerAccountUnknown(details={"accountIds": written.unknown})
        _require_same(tenant_id, hashes, written)
    return Posted(frozenset(written.made), written.totals)


def _sound(entries: Sequence[EntryDraft]) -> dict[str, str]:
    """Check the drafts and give the content hash of each, by id; one id may repeat with one content."""
    hashes: dict[str, str] = {}
    for draft in entries:
        require_sound(draft)
        found = content_hash(draft)
        if hashes.setdefault(draft.entry_id, found) != found:
            raise LedgerEntryConflict(details={"entryId": draft.entry_id})
    return hashes


def _described(
    tenant_id: str, drafts: Sequence[EntryDraft], hashes: dict[str, str], now: dt.datetime
) -> dict[str, Any]:
    entries, lines, shares, months = [], [], [], {}
    for draft in drafts:
        at = draft.at.astimezone(dt.UTC).isoformat()
        period, day, book = at[:7], at[:10], str(draft.book)
        months[period] = str(ids.uuid7())
        entries.append(
            {
                "entry_id": draft.entry_id,
                "book": book,
                "period": period,
                "at": at,
                "memo": draft.memo,
                "source_type": draft.source_type,
                "source_id": draft.source_id,
                "reason": draft.reason,
                "posting_count": len(draft.lines),
                "share_count": sum(len(line.shares) for line in draft.lines),
                "content_hash": hashes[draft.entry_id],
            }
        )
        for number, line in enumerate(draft.lines):
            named = {"entry_id": draft.entry_id, "posting_no": number}
            lines.append(
                named
                | {
                    "account_id": line.account_id,
                    "currency": line.currency,
                    "amount_cents": line.amount_cents,
                    "day": day,
                    "book": book,
                }
            )
            shares += [
                named
                | {
                    "party_id": share.party_id,
                    "party_role": share.party_role,
                    "amount_cents": share.amount_cents,
                }
                for share in line.shares
            ]
    return {
        "tenant": tenant_id,
        "now": now.isoformat(),
        "months": [{"id": row_id, "month": month} for month, row_id in months.items()],
        "entries": entries,
        "lines": lines,
        "shares": shares,
    }


def _require_same(tenant_id: str, hashes: dict[str, str], written: journal_writes.Written) -> None:
    """Let entries that stood already pass if they say the same."""
    found = dict(written.standing)
    # Committed by another transaction while our statement waited for it: only a new statement sees those.
    unseen = hashes.keys() - set(written.made) - found.keys()
    if unseen:
        found |= journal_writes.standing(tenant_id, sorted(unseen))
    for entry_id, known in found.items():
        if hashes[entry_id] != known:
            raise LedgerEntryConflict(details={"entryId": entry_id})


def _meaning(error: DatabaseError) -> Refusal | None:
    """Say what a broken rule means to the caller; None when it is none of the journal's."""
    diagnosis = getattr(error.__cause__, "diag", None)
    meaning = _MEANINGS.get(getattr(diagnosis, "constraint_name", None) or "")
    return None if meaning is None else meaning()


def _is_too_large(error: DatabaseError) -> bool:
    return getattr(error.__cause__, "sqlstate", None) == _NUMBER_TOO_LARGE
