"""Entries before they are posted: their shapes, what makes them acceptable, and why one is refused."""

import datetime as dt
import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

from settld.core.columns import CURRENCY_PATTERN
from settld.core.errors import Conflict, Invalid
from settld.core.money import is_minor
from settld.ledger.states import Book

MOST_LINES: Final = 200  # each is held against all others when the transaction ends
_CURRENCY: Final = re.compile(CURRENCY_PATTERN)


class LedgerEntryUnbalanced(Invalid):
    """The lines do not add up to nothing in each currency, or are too few, or one of them is zero."""

    code = "LEDGER_ENTRY_UNBALANCED"
    message = "postings must balance"


class LedgerAccountUnknown(Invalid):
    """No such account in this book of the tenant; `details.accountIds` names what is missing."""

    code = "LEDGER_ACCOUNT_UNKNOWN"
    message = "ledger account is unknown"


class LedgerAllocationMismatch(Invalid):
    """The shares of a posting do not add up to it."""

    code = "LEDGER_ALLOCATION_MISMATCH"
    message = "allocations must add up to their posting"


class LedgerEntryConflict(Conflict):
    """The entry id is taken by other content; `details.entryId` names it."""

    code = "LEDGER_ENTRY_CONFLICT"
    message = "ledger entry exists with other content"


class LedgerPeriodClosed(Conflict):
    """The month of the entry is closed."""

    code = "LEDGER_PERIOD_CLOSED"
    message = "ledger period is closed"


class LedgerBalanceOutOfRange(Conflict):
    """An account would stand higher than any number that we keep."""

    code = "LEDGER_BALANCE_OUT_OF_RANGE"
    message = "ledger balance out of range"


@dataclass(frozen=True, slots=True)
class Share:
    """What of a posting is one party's."""

    party_id: str
    party_role: str
    amount_cents: int


@dataclass(frozen=True, slots=True)
class Line:
    """One signed posting; positive is debit, in books escrow and prepaid: more.

    In book general the shares add up to the line; in the others there are none.
    """

    account_id: str
    amount_cents: int
    currency: str
    shares: tuple[Share, ...] = ()


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """An entry to be posted; its period is the UTC month of `at`, its postings are p0, p1, ... by line."""

    entry_id: str
    book: Book
    at: dt.datetime
    memo: str
    source_type: str
    source_id: str
    lines: tuple[Line, ...]
    reason: str = ""


def require_sound(draft: EntryDraft) -> None:
    """Let a balanced, fully attributed draft pass.

    Raises LedgerEntryUnbalanced or LedgerAllocationMismatch; `details.message` says where.
    """
    if not 2 <= len(draft.lines) <= MOST_LINES:
        raise _unbalanced(f"an entry has from 2 to {MOST_LINES} postings")
    sums: dict[str, int] = {}
    for number, line in enumerate(draft.lines):
        if not line.amount_cents or not is_minor(line.amount_cents):
            raise _unbalanced(f"p{number}: an amount is an integer other than 0, up to 2^53-1 either way")
        if not _CURRENCY.fullmatch(line.currency):
            raise _unbalanced(f"p{number}: currency is not a name that currencies have")
        sums[line.currency] = sums.get(line.currency, 0) + line.amount_cents
        _require_shared(draft.book, number, line)
    for currency, total in sums.items():
        if total:
            raise _unbalanced(f"the postings in {currency} add up to {total}, not to 0")


def content_hash(draft: EntryDraft) -> str:
    """Hash all that an entry says; two drafts with one id and one hash are the same entry."""
    content = [
        draft.entry_id,
        str(draft.book),
        draft.at.astimezone(dt.UTC).isoformat(),
        draft.memo,
        draft.source_type,
        draft.source_id,
        draft.reason,
        [
            [
                line.account_id,
                line.amount_cents,
                line.currency,
                sorted([share.party_id, share.party_role, share.amount_cents] for share in line.shares),
            ]
            for line in draft.lines
        ],
    ]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def _require_shared(book: Book, number: int, line: Line) -> None:
    if book != Book.GENERAL:
        if line.shares:
            raise _mismatched(f"p{number}: only postings of book general are attributed to parties")
        return
    if not all(share.amount_cents and is_minor(share.amount_cents) for share in line.shares):
        raise _mismatched(f"p{number}: a share is an integer other than 0, up to 2^53-1 either way")
    total = sum(share.amount_cents for share in line.shares)
    if total != line.amount_cents:
        raise _mismatched(f"p{number}: the shares add up to {total}, not to {line.amount_cents}")
    if len(line.shares) > 1:
        parties = Counter((share.party_id, share.party_role) for share in line.shares)
        if max(parties.values()) > 1:
            raise _mismatched(f"p{number}: a party has one share in a role")


def _unbalanced(problem: str) -> LedgerEntryUnbalanced:
    return LedgerEntryUnbalanced(details={"message": problem})


def _mismatched(problem: str) -> LedgerAllocationMismatch:
    return LedgerAllocationMismatch(details={"message": problem})
