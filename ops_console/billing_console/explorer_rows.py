"""What happened, as the explorer prints it: a list, newest first, or one operation's story in its order."""

import csv
import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.urls import reverse

from billing.queries.activity import Entry, Place
from billing.services import explorer
from billing.services.explorer import Found, Search
from ops_console import sheets, words
from ops_console.billing_console.event_filters import DEEPEST, Filters
from ops_console.billing_console.wording import SOURCE_LABELS, events_href, label, tone
from ops_console.cursors import Pager
from settld.core import clock

LONGEST_STORY: Final = 100
BATCH: Final = 500


@dataclass(frozen=True)
class EventRow:
    """One entry; `gap` is the time since the one before it in a story."""

    id: str
    at: str
    at_iso: str
    source: str
    event_type: str
    status: str
    tone: str
    whose: str
    whose_href: str
    operation_key: str
    operation_href: str
    event_id: str
    event_href: str
    message: str
    document: str
    gap: str = ""


@dataclass(frozen=True)
class Story:
    """Everything known about one operation or one event, oldest first."""

    title: str
    key: str
    note: str
    rows: list[EventRow]
    operations: list[tuple[str, str]]


@dataclass(frozen=True)
class Listing:
    """One page of entries, or a story."""

    rows: list[EventRow]
    story: Story | None
    pager: Pager
    csv_href: str


def build(filters: Filters) -> Listing:
    """Read a page in a fixed number of queries; a story as long as a page may be is told in its order."""
    if filters.follows and filters.page == 1:
        found = explorer.search(filters.search, size=LONGEST_STORY)
        if found.entries and not found.has_more:
            return Listing([], _story(filters, found), Pager("", "", ""), _csv_href(filters))
    found = explorer.search(filters.search, page=filters.page, size=filters.size)
    return Listing(
        rows=[row_of(entry, found.details.get(entry.id, {})) for entry in found.entries],
        story=None,
        pager=_pager(filters, found),
        csv_href=_csv_href(filters) if found.entries else "",
    )


def row_of(entry: Entry, details: dict[str, Any], *, since: dt.datetime | None = None) -> EventRow:
    """Shape one entry with the columns of the row behind it."""
    document = {name: explorer.shown(value) for name, value in details.items()}
    return EventRow(
        id=entry.id.replace(":", "-"),
        at=words.moment(entry.occurred_at),
        at_iso=clock.iso(entry.occurred_at) or "",
        source=SOURCE_LABELS.get(entry.source, entry.source),
        event_type=_type_of(entry),
        status=label(entry.status),
        tone=tone(entry.status),
        whose=_whose(entry),
        whose_href=events_href(billableEntityId=entry.billable_entity_id),
        operation_key=entry.operation_key or "",
        operation_href=events_href(operationKey=entry.operation_key),
        event_id=entry.provider_event_id or "",
        event_href=events_href(providerEventId=entry.provider_event_id),
        message=entry.message or "",
        document=json.dumps(document, indent=2, ensure_ascii=False, default=str) if document else "",
        gap=_gap(since, entry.occurred_at),
    )


def _type_of(entry: Entry) -> str:
    """Name what it is about; words of our own become readable, the provider's types stay as they are."""
    if entry.event_type == entry.source:
        return ""
    return entry.event_type if "." in entry.event_type else words.label(entry.event_type)


def _whose(entry: Entry) -> str:
    if entry.workspace_name or entry.workspace_id:
        return entry.workspace_name or entry.workspace_id or ""
    return f"Entity {entry.billable_entity_id}" if entry.billable_entity_id is not None else ""


def _gap(since: dt.datetime | None, at: dt.datetime) -> str:
    if since is None:
        return ""
    if (at - since) < dt.timedelta(seconds=1):
        return "at once"
    return f"{words.age(since, now=at)} later"


# --- A story --------------------------------------------------------------------------------------
def _story(filters: Filters, found: Found) -> Story:
    rows: list[EventRow] = []
    before: dt.datetime | None = None
    for entry in reversed(found.entries):
        rows.append(row_of(entry, found.details.get(entry.id, {}), since=before))
        before = entry.occurred_at
    keys = {entry.operation_key for entry in found.entries if entry.operation_key}
    first, last = found.entries[-1].occurred_at, found.entries[0].occurred_at
    lasted = words.age(first, now=last)
    count = words.count(len(rows), "entry", "entries")
    is_operation = bool(filters.operation_key)
    return Story(
        title="One operation through all sources" if is_operation else "One event through all sources",
        key=filters.operation_key or filters.event_id,
        note=f"{count} over {lasted}, oldest first; each stands at its last change",
        rows=rows,
        operations=[] if is_operation else [(key, events_href(operationKey=key)) for key in sorted(keys)],
    )


# --- Pages ----------------------------------------------------------------------------------------
def _pager(filters: Filters, found: Found) -> Pager:
    path = reverse("console:billing-events")

    def href(page: int) -> str:
        return f"{path}?{urlencode(filters.parameters(page=str(page) if page > 1 else ''))}"

    is_deepest = (filters.page + 1) * filters.size > DEEPEST
    note = f"Page {filters.page}, {words.count(len(found.entries), 'entry', 'entries')}, newest first"
    if found.has_more and is_deepest:
        note += f". No deeper than {DEEPEST:,} entries: narrow the filters"
    return Pager(
        note=note,
        previous_href=href(filters.page - 1) if filters.page > 1 else "",
        next_href=href(filters.page + 1) if found.has_more and not is_deepest else "",
    )


def _csv_href(filters: Filters) -> str:
    kept = filters.parameters(page="", pageSize="")
    return f"{reverse('console:billing-events-csv')}?{urlencode(kept)}"


# --- A file ---------------------------------------------------------------------------------------
COLUMNS: Final = (
    "id", "source", "sourceId", "billableEntityId", "workspaceId", "workspaceName", "ownerUserId", "provider",
    "operationKey", "providerEventId", "eventType", "status", "message", "occurredAt", "detailsJson",
)  # fmt: skip


def csv_lines(wanted: Search) -> Iterator[str]:
    """Write the newest entries as CSV, batch by batch, by the names that the API has for them.

    Each batch enters its own scope, because whoever consumes the lines does so outside of the request.
    """
    writer = csv.writer(sheets.Echo())
    yield writer.writerow(COLUMNS)
    after: Place | None = None
    for _ in range(DEEPEST // BATCH):
        found = explorer.search(wanted, size=BATCH, after=after)
        yield "".join(
            writer.writerow([sheets.cell(value) for value in _values(entry, found)])
            for entry in found.entries
        )
        if not found.has_more:
            return
        after = found.entries[-1].place


def _values(entry: Entry, found: Found) -> list[Any]:
    details = {name: explorer.shown(value) for name, value in found.details.get(entry.id, {}).items()}
    return [
        entry.id, entry.source, entry.source_id, entry.billable_entity_id, entry.workspace_id,
        entry.workspace_name, entry.owner_user_id, entry.provider, entry.operation_key,
        entry.provider_event_id, entry.event_type, entry.status, entry.message, clock.iso(entry.occurred_at),
        json.dumps(details, ensure_ascii=False, separators=(",", ":"), default=str),
    ]  # fmt: skip
