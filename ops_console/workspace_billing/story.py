"""The timeline tab: what happened, newest first, with filters that the address holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from billing.queries.activity_sources import RUN, SOURCES
from billing.services import timeline
from billing.services.timeline import LABELS, Line
from ops_console import words
from ops_console.acts import Option
from ops_console.addresses import Address
from ops_console.cursors import Pager
from ops_console.workspace_billing.desk import Desk

SIZES: Final = (20, 50, 100)
DEEPEST: Final = 10_000
TONES: Final[dict[str, str]] = {
    "succeeded": "good",
    "active": "good",
    "paid": "good",
    "processed": "good",
    "completed_reconciled": "good",
    "failed": "bad",
    "dead_letter": "bad",
    "past_due": "bad",
    "unpaid": "bad",
    "pending": "warn",
    "recovery_verification_pending": "warn",
    "completed_pending_subscription": "warn",
    "open": "info",
    "received": "info",
    "processing": "info",
    "trialing": "info",
}


@dataclass(frozen=True)
class StoryRow:
    """One entry."""

    at: str
    title: str
    text: str
    tone: str
    operation_key: str
    operation: str
    operation_href: str
    event_id: str
    event_href: str


@dataclass(frozen=True)
class Story:
    """What the tab shows, and how it was filtered."""

    rows: list[StoryRow]
    pager: Pager
    sources: list[Option]
    source: str
    operation_key: str
    event_id: str
    sizes: tuple[int, ...]
    size: int
    faults: list[str]
    is_filtered: bool


def build(desk: Desk, parameters: Mapping[str, str]) -> Story:
    """Read one page; what an address says wrongly is left out, and said."""
    address = Address(parameters, most=191)
    source = address.one_of("source", SOURCES, "source")
    operation_key = address.text("operationKey")
    event_id = address.text("providerEventId")
    size = next((size for size in SIZES if str(size) == parameters.get("pageSize")), SIZES[0])
    number = _page_number(parameters.get("page", ""), size=size)
    found = timeline.entries(
        entity=desk.entity,
        size=size,
        page=number,
        source=source,
        operation_key=operation_key,
        provider_event_id=event_id,
    )
    filters = {"source": source, "operationKey": operation_key, "providerEventId": event_id}
    has_next = found.next_cursor is not None and (number + 1) * size <= DEEPEST
    return Story(
        rows=[_row(desk, line) for line in found.lines],
        pager=_pager(desk, filters, number=number, size=size, has_next=has_next, count=len(found.lines)),
        sources=[Option(name, LABELS[name]) for name in SOURCES if name != RUN],
        source=source,
        operation_key=operation_key,
        event_id=event_id,
        sizes=SIZES,
        size=size,
        faults=address.faults,
        is_filtered=any(filters.values()),
    )


def _page_number(text: str, *, size: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1
    return min(max(number, 1), DEEPEST // size)


def _pager(
    desk: Desk, filters: dict[str, str], *, number: int, size: int, has_next: bool, count: int
) -> Pager:
    def href(page: int) -> str:
        return _href(desk, **filters, pageSize=str(size), page=str(page))

    first = (number - 1) * size + 1
    note = f"Entries {first:,} to {first + count - 1:,}" if count else "No entries here"
    return Pager(
        note=note,
        previous_href=href(number - 1) if number > 1 else "",
        next_href=href(number + 1) if has_next else "",
    )


def _row(desk: Desk, line: Line) -> StoryRow:
    key, event = line.operation_key or "", line.provider_event_id or ""
    return StoryRow(
        at=words.moment(line.occurred_at),
        title=line.title,
        text=line.description,
        tone=TONES.get(line.status, "quiet"),
        operation_key=key,
        operation=words.short(key),
        operation_href=_href(desk, operationKey=key) if key else "",
        event_id=event,
        event_href=_href(desk, providerEventId=event) if event else "",
    )


def _href(desk: Desk, **parameters: str) -> str:
    said = {name: value for name, value in parameters.items() if value}
    return f"{desk.href()}?{urlencode({'tab': 'timeline', **said})}"
