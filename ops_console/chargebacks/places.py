"""Paging by whole numbers: a page begins after the last row seen, so that it costs the same at any depth."""

import re
import uuid
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, Q, QuerySet

from ops_console.cursors import ROWS, Pager

RowType = TypeVar("RowType", bound=Model)
_SPELT: Final = re.compile(r"(?P<way>[fb])\.(?P<number>[0-9]{1,19})(?:\.(?P<row>[0-9a-f]{32}))?")
BIGGEST: Final = 2**63 - 1


@dataclass(frozen=True)
class Place:
    """A place between two rows of a list sorted by a number, greatest first, and by id where it has ties."""

    number: int
    row_id: uuid.UUID | None = None
    is_backward: bool = False

    def write(self) -> str:
        """Spell the place for an address."""
        row = f".{self.row_id.hex}" if self.row_id else ""
        return f"{'b' if self.is_backward else 'f'}.{self.number}{row}"


def read(text: str) -> Place | None:
    """Read a place from an address; what cannot be read is the list's beginning."""
    match = _SPELT.fullmatch(text)
    if match is None or int(match["number"]) > BIGGEST:
        return None
    row_id = uuid.UUID(match["row"]) if match["row"] else None
    return Place(int(match["number"]), row_id, is_backward=match["way"] == "b")


@dataclass(frozen=True)
class Slice(Generic[RowType]):
    """One page of rows, and the places around it."""

    rows: list[RowType]
    previous: Place | None
    next: Place | None

    def pager(self, *, path: str, parameters: dict[str, str], name: str, note: str) -> Pager:
        """Make the links: the same address with another place in it."""

        def href(place: Place | None) -> str:
            return f"{path}?{urlencode({**parameters, name: place.write()})}" if place else ""

        return Pager(note=note, previous_href=href(self.previous), next_href=href(self.next))


def slice_of(
    rows: QuerySet[RowType], *, by: str, place: Place | None, has_ties: bool = False, size: int = ROWS
) -> Slice[RowType]:
    """Read one page of rows sorted by a number, greatest first; `has_ties` breaks them by id."""
    is_backward = place is not None and place.is_backward
    if place is not None:
        rows = rows.filter(_beyond(place, by=by, has_ties=has_ties))
    keys = [by, "id"] if has_ties else [by]
    order = keys if is_backward else [f"-{key}" for key in keys]
    found = list(rows.order_by(*order)[: size + 1])
    has_more, found = len(found) > size, found[:size]
    if is_backward:
        found.reverse()
    if not found:
        return Slice([], None, None)

    def at(row: Any, *, is_backward: bool) -> Place:
        return Place(getattr(row, by), row.pk if has_ties else None, is_backward)

    has_previous = has_more if is_backward else place is not None
    has_next = is_backward or has_more
    return Slice(
        rows=found,
        previous=at(found[0], is_backward=True) if has_previous else None,
        next=at(found[-1], is_backward=False) if has_next else None,
    )


def _beyond(place: Place, *, by: str, has_ties: bool) -> Q:
    word = "gt" if place.is_backward else "lt"
    if not has_ties or place.row_id is None:
        return Q(**{f"{by}__{word}": place.number})
    tie = Q(**{f"{by}__{word}": place.number}) | Q(**{f"id__{word}": place.row_id})
    return Q(**{f"{by}__{word}e": place.number}) & tie
