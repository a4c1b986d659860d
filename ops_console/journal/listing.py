"""One page of journal entries, newest first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse

from ops_console import cursors, words
from ops_console.addresses import Address
from ops_console.journal import links
from settld.core import money
from settld.ledger.models import JournalEntry, Posting
from settld.ledger.states import Book

BOOKS: Final = {Book.GENERAL.value: "General", Book.ESCROW.value: "Escrow", Book.PREPAID.value: "Prepaid"}


@dataclass(frozen=True)
class Filters:
    """What the operator looks for; an empty text is any."""

    book: str = ""
    period: str = ""
    account: str = ""
    q: str = ""
    faults: tuple[str, ...] = ()

    def parameters(self) -> dict[str, str]:
        """Spell the filters for an address."""
        values = {"book": self.book, "period": self.period, "account": self.account, "q": self.q}
        return {name: value for name, value in values.items() if value}

    @property
    def books(self) -> list[tuple[str, str, bool]]:
        """List the books to choose from."""
        return [(value, label, value == self.book) for value, label in BOOKS.items()]


@dataclass(frozen=True)
class Part:
    """One posting of an entry, in short."""

    account_id: str
    label: str
    amount: str


@dataclass(frozen=True)
class Row:
    """One entry."""

    href: str
    entry_id: str
    title: str
    at: str
    book: str
    lines: list[Part]
    more: str


@dataclass(frozen=True)
class Listing:
    """The page."""

    rows: list[Row]
    pager: cursors.Pager
    empty_title: str
    empty_text: str


def read(parameters: Mapping[str, str]) -> Filters:
    """Read the filters from an address; what cannot be understood is left out and said."""
    address = Address(parameters, most=1000)
    return Filters(
        book=address.one_of("book", tuple(BOOKS), "book"),
        period=address.period("period"),
        account=address.text("account"),
        q=address.text("q"),
        faults=tuple(address.faults),
    )


def entries(*, tenant_id: str, filters: Filters) -> QuerySet[JournalEntry]:
    """Select the entries that the filters let through."""
    rows = JournalEntry.objects.filter(tenant_id=tenant_id)
    if filters.book:
        rows = rows.filter(book=filters.book)
    if filters.period:
        rows = rows.filter(period=filters.period)
    if filters.q:
        rows = rows.filter(entry_id__startswith=filters.q)
    if filters.account:
        touched = Posting.objects.filter(
            tenant_id=tenant_id, entry_id=OuterRef("entry_id"), account_id=filters.account
        )
        rows = rows.filter(Exists(touched))
    return rows


MOST_LINES: Final = 4


def build(*, tenant_id: str, filters: Filters, place: cursors.Cursor | None) -> Listing:
    """Read a page in two queries, whatever its depth and length."""
    page = cursors.slice_of(entries(tenant_id=tenant_id, filters=filters), by="at", place=place)
    postings: dict[str, list[Posting]] = {}
    ids = [entry.entry_id for entry in page.rows]
    for posting in Posting.objects.filter(tenant_id=tenant_id, entry_id__in=ids).order_by("posting_no"):
        postings.setdefault(posting.entry_id, []).append(posting)
    return Listing(
        rows=[row_of(entry, postings.get(entry.entry_id, [])) for entry in page.rows],
        pager=cursors.pager(
            page,
            path=reverse("console:journal"),
            parameters=filters.parameters(),
            note=f"{words.count(len(page.rows), 'entry', 'entries')} on this page",
        ),
        empty_title="No entry matches" if filters.parameters() else "Nothing has been posted yet",
        empty_text="Widen the filters, or clear them."
        if filters.parameters()
        else "Credit a wallet, or let a run settle: each movement posts balanced entries here.",
    )


def row_of(entry: JournalEntry, postings: list[Posting]) -> Row:
    """Shape one entry for a list."""
    return Row(
        href=links.entry_href(entry.entry_id),
        entry_id=entry.entry_id,
        title=links.entry_title(entry.entry_id, entry.memo),
        at=words.moment(entry.at),
        book=BOOKS[entry.book],
        lines=[
            Part(
                line.account_id,
                links.account_label(line.account_id),
                signed(line.amount_cents, line.currency),
            )
            for line in postings[:MOST_LINES]
        ],
        more=f"and {len(postings) - MOST_LINES} more" if len(postings) > MOST_LINES else "",
    )


def signed(amount_cents: int, currency: str) -> str:
    """Write an amount with its sign: debit plus, credit minus."""
    sign = "+" if amount_cents > 0 else "-" if amount_cents < 0 else ""
    return f"{sign}{shown(abs(amount_cents), currency)}"


def shown(amount_cents: Any, currency: str) -> str:
    """Write an amount of any currency that the journal may hold."""
    return money.show(int(amount_cents), currency)
