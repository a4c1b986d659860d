"""Read the queue of cases as people work it: by urgency or age, filtered, a page at a time.

A page costs the same at any depth, and counting stops at COUNTED_MOST: with a million open cases the
queue still answers from its indexes.
"""

import datetime as dt
import hashlib
import uuid
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import BooleanField, F, Field, Func, Q, QuerySet, SmallIntegerField, Value
from django.db.models.fields import DateTimeField, UUIDField

from reconciliation.models import Mismatch
from reconciliation.models.mismatch import DRIFTED, OPEN
from reconciliation.states import DECIDED, SEVERITY_RANKS

COUNTED_MOST: Final = 10_000
# How a case may stand, as the queue's filter calls it; `waiting` is everything that wants somebody.
STANDINGS: Final[dict[str, Q]] = {
    "waiting": OPEN,
    "new": OPEN & Q(triage_status="open"),
    "acknowledged": OPEN & Q(triage_status="acknowledged"),
    "in_progress": OPEN & Q(triage_status="in_progress"),
    "drifted": OPEN & DRIFTED & Q(triage_status__in=DECIDED),
    "resolved": Q(triage_status="resolved"),
    "dismissed": Q(triage_status="dismissed"),
    "gone": Q(cleared_at__isnull=False),
    "past": ~OPEN,
    "any": Q(),
}


@dataclass(frozen=True)
class CaseFilter:
    """Which cases to show; None leaves a column open to all, an owner of "" means nobody's.

    With `keeps_core` a provider's cases come with those that belong to no provider.
    """

    standing: str = "waiting"
    source_type: str | None = None
    mismatch_type: str | None = None
    severity: str | None = None
    owner: str | None = None
    period: str | None = None
    provider_id: str | None = None
    keeps_core: bool = False
    seen_before: dt.datetime | None = None
    text: str | None = None


@dataclass(frozen=True)
class Place:
    """A place between two rows; in the order by age `rank` is 0 for every row."""

    rank: int
    first_seen_at: dt.datetime
    row_id: uuid.UUID
    is_backward: bool = False


@dataclass(frozen=True)
class CasePage:
    """Some cases and the places around them (None where the list ends)."""

    rows: list[Mismatch]
    previous: Place | None
    following: Place | None


def matching(*, tenant_id: str, wanted: CaseFilter) -> QuerySet[Mismatch]:
    """Select a tenant's cases, unsorted."""
    rows = Mismatch.objects.filter(STANDINGS[wanted.standing], tenant_id=tenant_id)
    columns = {
        "source_type": wanted.source_type,
        "mismatch_type": wanted.mismatch_type,
        "severity_rank": SEVERITY_RANKS[wanted.severity] if wanted.severity else None,
        "triage_owner": wanted.owner,
        "period": wanted.period,
        "provider_id__in": _providers(wanted),
        "first_seen_at__lte": wanted.seen_before,
    }
    rows = rows.filter(**{column: value for column, value in columns.items() if value is not None})
    return rows.filter(_naming(tenant_id, wanted.text)) if wanted.text else rows


def _providers(wanted: CaseFilter) -> list[str] | None:
    if wanted.provider_id is None:
        return None
    return [wanted.provider_id, ""] if wanted.keeps_core else [wanted.provider_id]


def _naming(tenant_id: str, text: str) -> Q:
    """Find a triage key or an operation by its index; only another text is looked for inside the keys."""
    if text.startswith("frt_"):
        return Q(triage_key=text)
    exact = Q(subject_hash=hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())
    if Mismatch.objects.filter(exact, tenant_id=tenant_id).exists():
        return exact
    return Q(mismatch_key__icontains=text) | Q(mismatch_code__iexact=text)


def in_order(rows: QuerySet[Mismatch], *, is_by_age: bool) -> QuerySet[Mismatch]:
    """Sort the most urgent first and among those the oldest; by age the newest first."""
    return (
        rows.order_by("-first_seen_at", "-id")
        if is_by_age
        else rows.order_by("severity_rank", "first_seen_at", "id")
    )


def page(
    *,
    tenant_id: str,
    wanted: CaseFilter,
    is_by_age: bool = False,
    place: Place | None = None,
    limit: int = 50,
) -> CasePage:
    """Give one page of the queue: one query, two when a text is looked for."""
    rows = matching(tenant_id=tenant_id, wanted=wanted)
    is_backward = place is not None and place.is_backward
    if place is not None:
        rows = rows.filter(_beyond(place, is_by_age=is_by_age))
    rows = in_order(rows, is_by_age=is_by_age)
    found = list((rows.reverse() if is_backward else rows)[: limit + 1])
    has_more, found = len(found) > limit, found[:limit]
    if is_backward:
        found.reverse()
    if not found:
        return CasePage([], None, None)
    has_previous = has_more if is_backward else place is not None
    has_following = True if is_backward else has_more
    return CasePage(
        found,
        _place(found[0], is_by_age=is_by_age, is_backward=True) if has_previous else None,
        _place(found[-1], is_by_age=is_by_age) if has_following else None,
    )


def _place(row: Mismatch, *, is_by_age: bool, is_backward: bool = False) -> Place:
    rank = 0 if is_by_age else SEVERITY_RANKS[row.shown_severity]
    return Place(rank, row.first_seen_at, row.id, is_backward)


def _beyond(place: Place, *, is_by_age: bool) -> Any:
    """Compare whole rows, which an index answers by going straight to the place; OR would walk to it."""
    columns: list[str] = ["first_seen_at", "id"]
    values: list[tuple[Any, Field[Any, Any]]] = [
        (place.first_seen_at, DateTimeField()),
        (place.row_id, UUIDField()),
    ]
    if not is_by_age:
        columns.insert(0, "severity_rank")
        values.insert(0, (place.rank, SmallIntegerField()))
    sign = "<" if is_by_age is not place.is_backward else ">"
    return Func(
        Func(*(F(column) for column in columns), function="ROW", output_field=BooleanField()),
        Func(
            *(Value(value, output_field=field) for value, field in values),
            function="ROW",
            output_field=BooleanField(),
        ),
        template="(%(expressions)s)",
        arg_joiner=f" {sign} ",
        output_field=BooleanField(),
    )


def count(*, tenant_id: str, wanted: CaseFilter) -> int:
    """Count cases, at most one more than COUNTED_MOST."""
    return matching(tenant_id=tenant_id, wanted=wanted).order_by()[: COUNTED_MOST + 1].count()


def of_keys(*, tenant_id: str, triage_keys: list[str]) -> dict[str, Mismatch]:
    """Give some cases by triage key."""
    rows = Mismatch.objects.filter(tenant_id=tenant_id, triage_key__in=triage_keys)
    return {row.triage_key: row for row in rows}
