"""What happened to an entity, or to all of them, newest first: one union over ten sources (spec 7.6).

Order: when, descending; then the source's name; then the id, descending. Each branch gives no more rows than
the page needs, so a page costs the same however long the history is. The caller enters the scope: a tenant's
for a timeline, the platform's for the explorer.
"""

import base64
import binascii
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from billing.queries.activity_sources import BRANCHES, IDEMPOTENCY, RUN, SOURCES, WEBHOOK, Branch


@dataclass(frozen=True)
class Entry:
    """One row of the union, and whose it is."""

    source: str
    source_id: int
    billable_entity_id: int | None
    provider: str | None
    operation_key: str | None
    provider_event_id: str | None
    event_type: str
    status: str
    message: str | None
    occurred_at: dt.datetime
    workspace_id: str | None
    workspace_name: str | None
    owner_user_id: int | None

    @property
    def id(self) -> str:
        """Name the entry over all sources."""
        return f"{self.source}:{self.source_id}"

    @property
    def place(self) -> "Place":
        """Give where in the order it stands."""
        return Place(self.occurred_at, self.source, self.source_id)


@dataclass(frozen=True)
class Place:
    """A place in the order; a page by cursor begins after it."""

    occurred_at: dt.datetime
    source: str
    source_id: int

    def write(self) -> str:
        """Spell the place for a client, who knows nothing of its form."""
        text = f"{self.occurred_at.isoformat()}|{self.source}|{self.source_id}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "Place | None":
        """Read a place that we spelled; None for anything else."""
        try:
            plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
            at, source, source_id = plain.split("|")
            occurred_at = dt.datetime.fromisoformat(at)
        except (ValueError, binascii.Error):
            return None
        # We spell instants in UTC; the database does not know every other offset that Python reads.
        is_ours = source in SOURCES and occurred_at.utcoffset() == dt.timedelta(0) and source_id.isdigit()
        if not is_ours or len(source_id) > 18:
            return None
        return cls(occurred_at, source, int(source_id))


@dataclass(frozen=True)
class Filters:
    """What to read; None and empty leave a filter out.

    `entity_ids` narrows to some entities; `narrowed_to` does the same to every source but the webhooks, whose
    correlation may be wrong: it spares a search by key or event a walk through every table.
    """

    entity_ids: tuple[int, ...] | None = None
    source: str = ""
    operation_key: str = ""
    provider_event_id: str = ""
    with_runs: bool = False
    narrowed_to: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Window:
    """Which rows of the order: so many after a place, or else after so many others."""

    size: int
    offset: int = 0
    after: Place | None = None


def read(filters: Filters, window: Window) -> list[Entry]:
    """Read one page and, where there is one, the first entry of the next; one statement."""
    branches = [branch for branch in BRANCHES if _is_wanted(branch, filters)]
    if not branches:
        return []
    wanted = window.size + 1
    parts: list[str] = []
    params: list[Any] = []
    for branch in branches:
        text, values = _select(branch, filters, window, limit=window.offset + wanted)
        parts.append(text)
        params += values
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT u.source, u.source_id, u.entity_id, u.provider, u.operation_key,"  # noqa: S608  (our own)
            " u.provider_event_id,"
            " u.event_type, u.status, u.message, u.occurred_at, b.workspace_id, t.name, b.owner_user_id"
            f" FROM (SELECT * FROM ({' UNION ALL '.join(parts)}) a"
            " ORDER BY occurred_at DESC, source, source_id DESC LIMIT %s OFFSET %s) u"
            # Whose they are is looked up for the page alone, by key: a join would read all entities for it.
            " LEFT JOIN LATERAL (SELECT x.workspace_id, x.owner_user_id FROM billable_entities x"
            " WHERE x.id = u.entity_id OFFSET 0) b ON true"
            " LEFT JOIN LATERAL (SELECT x.name FROM tenant x"
            ' WHERE x.tenant_id = b.workspace_id COLLATE "default" OFFSET 0) t ON true'  # as its key is
            " ORDER BY u.occurred_at DESC, u.source, u.source_id DESC",
            [*params, wanted, window.offset],
        )
        return [Entry(*row) for row in cursor.fetchall()]


def _is_wanted(branch: Branch, filters: Filters) -> bool:
    if filters.source and branch.source != filters.source:
        return False
    if branch.source == RUN:
        is_filtered = filters.entity_ids is not None or filters.operation_key or filters.provider_event_id
        return filters.with_runs and not is_filtered
    if filters.operation_key and not branch.operation_key:
        return False
    return not (filters.provider_event_id and branch.source == IDEMPOTENCY)


def _select(branch: Branch, filters: Filters, window: Window, *, limit: int) -> tuple[str, Sequence[Any]]:
    conditions: list[str] = [branch.where] if branch.where else []
    params: list[Any] = []

    def require(condition: str, *values: Any) -> None:
        conditions.append(condition)
        params.extend(values)

    if filters.entity_ids is not None:
        require(f"{branch.entity} = ANY(%s)", list(filters.entity_ids))
    if filters.narrowed_to is not None and branch.source != WEBHOOK:
        require(f"{branch.entity} = ANY(%s)", list(filters.narrowed_to))
    if filters.operation_key:
        require(f"{branch.operation_key} = %s", filters.operation_key)
    if filters.provider_event_id:
        require(f"{branch.event_id} = %s", filters.provider_event_id)
    if window.after is not None:
        require(*_after(branch, window.after))
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    beside = branch.joins if _filters_by(branch.gives, filters) else branch.looks_up
    text = (
        f"(SELECT {branch.columns()} FROM {branch.table} r {beside}{where}"  # noqa: S608  (our own)
        f" ORDER BY r.updated_at DESC, {branch.row_id} DESC LIMIT %s)"
    )
    return text, [*params, limit]


def _filters_by(gives: str, filters: Filters) -> bool:
    if gives == "entity":
        return filters.entity_ids is not None or filters.narrowed_to is not None
    return gives == "event" and bool(filters.provider_event_id)


def _after(branch: Branch, place: Place) -> tuple[Any, ...]:
    """Keep what the order puts after a place; of the same instant, sources after its own come later."""
    if branch.source < place.source:
        return ("r.updated_at < %s", place.occurred_at)
    if branch.source > place.source:
        return ("r.updated_at <= %s", place.occurred_at)
    return (
        f"(r.updated_at, {branch.row_id}) < (%s, %s::bigint)",
        place.occurred_at,
        place.source_id,
    )
