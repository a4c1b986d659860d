"""Journal entries with their postings and shares."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

from settld.core import rows
from settld.ledger.models import Allocation, JournalEntry, Posting
from settld.ledger.states import Book

# The index goes by (book, period, at, id): each book gives its newest, and of those the newest are taken.
_NEWEST_OF_BOOKS: Final = """id IN (
  SELECT best.id FROM unnest(%s::text[]) AS one (book) CROSS JOIN LATERAL (
    SELECT id, period, at FROM ledger_entry
    WHERE tenant_id = %s AND book = one.book {where}
    ORDER BY period DESC, at DESC, id DESC LIMIT %s) AS best
  ORDER BY best.at DESC, best.id DESC LIMIT %s OFFSET %s)
ORDER BY at DESC, id DESC"""
_OF_ACCOUNT: Final = """id IN (
  SELECT entry.id FROM ledger_posting AS posting
  JOIN ledger_entry AS entry USING (tenant_id, entry_id)
  WHERE posting.tenant_id = %s AND posting.account_id = %s AND NOT EXISTS (
    SELECT FROM ledger_posting AS earlier
    WHERE earlier.tenant_id = posting.tenant_id AND earlier.entry_id = posting.entry_id
      AND earlier.account_id = posting.account_id AND earlier.posting_no < posting.posting_no) {where}
  ORDER BY posting.at DESC, entry.id DESC LIMIT %s OFFSET %s)
ORDER BY at DESC, id DESC"""
_OF_SOURCE: Final = """tenant_id = %s AND source_type = %s {where}
ORDER BY at DESC, id DESC LIMIT %s OFFSET %s"""


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries are wanted; `source_id` goes with a `source_type`."""

    book: str | None = None
    period: str | None = None
    account_id: str | None = None
    source_type: str | None = None
    source_id: str | None = None


@dataclass(frozen=True, slots=True)
class EntryView:
    """An entry, its postings in their order, and the shares of each, by posting and party."""

    entry: JournalEntry
    postings: tuple[Posting, ...]
    allocations: tuple[Allocation, ...]


def entry(*, tenant_id: str, entry_id: str) -> EntryView | None:
    """Give one entry, or None."""
    found = rows.first(JournalEntry, "tenant_id = %s AND entry_id = %s", [tenant_id, entry_id])
    return None if found is None else _views(tenant_id, [found])[0]


def entries(*, tenant_id: str, wanted: EntryFilter, limit: int, offset: int = 0) -> list[EntryView]:
    """List entries, newest first (by `at`)."""
    return _views(tenant_id, _found(tenant_id, wanted, limit=limit, offset=offset))


def _found(tenant_id: str, wanted: EntryFilter, *, limit: int, offset: int) -> list[JournalEntry]:
    if wanted.account_id is not None:
        where, values = _where(wanted, ("book", "period", "source_type", "source_id"), table="entry.")
        query, given = _OF_ACCOUNT, [tenant_id, wanted.account_id, *values, limit, offset]
    elif wanted.source_type is not None:
        where, values = _where(wanted, ("book", "period", "source_id"))
        query, given = _OF_SOURCE, [tenant_id, wanted.source_type, *values, limit, offset]
    else:
        where, values = _where(wanted, ("period",))
        books = [wanted.book] if wanted.book else list(Book.values)
        query, given = _NEWEST_OF_BOOKS, [books, tenant_id, *values, limit + offset, limit, offset]
    return rows.every(JournalEntry, query.format(where=where), given)


def _where(wanted: EntryFilter, names: tuple[str, ...], *, table: str = "") -> tuple[str, list[Any]]:
    """Write the filters of these names that are set as SQL, with their values."""
    present = [(name, value) for name in names if (value := getattr(wanted, name)) is not None]
    return " ".join(f"AND {table}{name} = %s" for name, _ in present), [value for _, value in present]


def _views(tenant_id: str, found: list[JournalEntry]) -> list[EntryView]:
    names = [row.entry_id for row in found]
    postings: dict[str, list[Posting]] = defaultdict(list)
    allocations: dict[str, list[Allocation]] = defaultdict(list)
    if names:
        of_entries = "tenant_id = %s AND entry_id = ANY(%s) ORDER BY entry_id, posting_no"
        for posting in rows.every(Posting, of_entries, [tenant_id, names]):
            postings[posting.entry_id].append(posting)
        for share in rows.every(Allocation, f"{of_entries}, party_id, party_role", [tenant_id, names]):
            allocations[share.entry_id].append(share)
    return [EntryView(row, tuple(postings[row.entry_id]), tuple(allocations[row.entry_id])) for row in found]
