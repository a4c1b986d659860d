"""Paging by key: a page begins after the last row seen, so that it costs the same at any depth."""

import base64
import binascii
import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, Q, QuerySet

ROWS = 50
RowType = TypeVar("RowType", bound=Model)


@dataclass(frozen=True)
class Cursor:
    """A place between two rows of a list sorted by (instant, id), newest first."""

    at: dt.datetime
    row_id: uuid.UUID | int
    is_backward: bool = False

    def write(self) -> str:
        """Spell the place for a URL."""
        row_id = f"n{self.row_id}" if isinstance(self.row_id, int) else self.row_id.hex
        text = f"{'b' if self.is_backward else 'f'}|{self.at.isoformat()}|{row_id}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read(text: str) -> Cursor | None:
    """Read a place from a URL; what cannot be read is the list's beginning."""
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        direction, at, row_id = plain.split("|")
        instant = dt.datetime.fromisoformat(at)
        if instant.tzinfo is None:
            return None
        return Cursor(at=instant, row_id=_row_id(row_id), is_backward=direction == "b")
    except (ValueError, binascii.Error):
        return None


def _row_id(text: str) -> uuid.UUID | int:
    """Read a row's key: a number begins with n, and is one that the database can hold."""
    if not text.startswith("n"):
        return uuid.UUID(text)
    number = int(text[1:])
    if not 0 <= number < 2**63:
        raise ValueError("no row has this number")
    return number


@dataclass(frozen=True)
class Slice(Generic[RowType]):
    """One page of rows, newest first, and the places around it."""

    rows: list[RowType]
    previous: Cursor | None
    next: Cursor | None


def slice_of(rows: QuerySet[RowType], *, by: str, place: Cursor | None, size: int = 0) -> Slice[RowType]:
    """Read one page of a queryset sorted by (`by`, id); one query, whatever the depth.

    `by` names a column of instants that is never null; a size of 0 is the usual one. The row beyond
    the page tells whether there is more.
    """
    is_backward = place is not None and place.is_backward
    size = size or ROWS
    if place is not None:
        word = "gt" if is_backward else "lt"
        rows = rows.filter(
            Q(**{f"{by}__{word}e": place.at})
            & (Q(**{f"{by}__{word}": place.at}) | Q(**{f"id__{word}": place.row_id}))
        )
    order = (by, "id") if is_backward else (f"-{by}", "-id")
    found = list(rows.order_by(*order)[: size + 1])
    has_more, found = len(found) > size, found[:size]
    if is_backward:
        found.reverse()
    if not found:
        return Slice([], None, None)
    first, last = found[0], found[-1]
    has_previous = has_more if is_backward else place is not None
    has_next = True if is_backward else has_more
    return Slice(
        rows=found,
        previous=Cursor(getattr(first, by), first.pk, is_backward=True) if has_previous else None,
        next=Cursor(getattr(last, by), last.pk) if has_next else None,
    )


@dataclass(frozen=True)
class Pager:
    """The links below a list."""

    note: str
    previous_href: str
    next_href: str


def pager(page: Slice[RowType], *, path: str, parameters: dict[str, str], note: str) -> Pager:
    """Make the links: the same address with another place in it."""

    def href(place: Cursor | None) -> str:
        return f"{path}?{urlencode({**parameters, 'at': place.write()})}" if place else ""

    return Pager(note=note, previous_href=href(page.previous), next_href=href(page.next))
