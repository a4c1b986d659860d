"""Pages of rows with whole numbers as ids: a page begins after the last row seen, at any depth alike."""

import re
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, QuerySet

from ops_console.cursors import Pager

ROWS: Final = 50
_PLACE: Final = re.compile(r"(after|before)-([0-9]{1,18})", re.ASCII)
Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Place:
    """A place in a list: after, or before, the row of an id."""

    row_id: int
    is_before: bool = False

    def __str__(self) -> str:
        return f"{'before' if self.is_before else 'after'}-{self.row_id}"


def read(text: str) -> Place | None:
    """Read a place from an address; what cannot be read is the list's beginning."""
    match = _PLACE.fullmatch(text)
    return Place(int(match[2]), is_before=match[1] == "before") if match else None


@dataclass(frozen=True)
class Slice(Generic[Row]):
    """One page in the list's order, and the places around it."""

    rows: list[Row]
    previous: Place | None
    next: Place | None

    def pager(self, *, path: str, parameters: dict[str, str], note: str, name: str = "at") -> Pager:
        """Make the links: the same address with another place in it, under a name of its own."""

        def href(place: Place | None) -> str:
            return f"{path}?{urlencode({**parameters, name: str(place)})}" if place else ""

        return Pager(note=note, previous_href=href(self.previous), next_href=href(self.next))


def slice_by_id(
    rows: "QuerySet[Row]", *, place: Place | None, is_newest_first: bool, size: int = 0
) -> Slice[Row]:
    """Read one page of a queryset by id, oldest or newest first, in one query; a size of 0 is the usual one.

    The row beyond the page tells whether there is more.
    """
    size = size or ROWS
    is_backward = place is not None and place.is_before
    is_falling = is_newest_first != is_backward
    if place is not None:
        rows = rows.filter(**{f"pk__{'lt' if is_falling else 'gt'}": place.row_id})
    found = list(rows.order_by("-pk" if is_falling else "pk")[: size + 1])
    has_more, found = len(found) > size, found[:size]
    if is_backward:
        found.reverse()
    if not found:
        return Slice([], None, None)
    has_previous = has_more if is_backward else place is not None
    has_next = True if is_backward else has_more
    return Slice(
        rows=found,
        previous=Place(found[0].pk, is_before=True) if has_previous else None,
        next=Place(found[-1].pk) if has_next else None,
    )
