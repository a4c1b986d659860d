"""One page of payouts, with the totals of everything that the filters let through."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum
from django.urls import reverse

from moneyrails.models import DispatchAttempt, Operation
from ops_console import cursors, words
from ops_console.payouts import export
from ops_console.payouts.filters import Filters, payouts
from settld.core import money

SHOWN_DISPATCH = ("dispatching", "in_doubt", "indeterminate", "retryable", "rejected")


@dataclass(frozen=True)
class Row:
    """One payout in the list."""

    href: str
    party_id: str
    period: str
    amount: str
    state: str
    tone: str
    dispatch: str
    dispatch_tone: str
    provider_id: str
    provider_ref: str
    reason: str
    initiated_at: str


@dataclass(frozen=True)
class Total:
    """Count and sum of one state."""

    label: str
    count: str
    amount: str
    href: str
    is_chosen: bool


@dataclass(frozen=True)
class Listing:
    """The page."""

    rows: list[Row]
    totals: list[Total]
    pager: cursors.Pager
    csv_href: str
    csv_note: str
    empty_title: str
    empty_text: str


def href_of(operation: Operation) -> str:
    """Name the page of a payout; identifiers keep their colons."""
    return (
        f"/console/payouts/{quote(operation.provider_id, safe=':')}/{quote(operation.operation_id, safe=':')}"
    )


def build(*, tenant_id: str, filters: Filters, place: cursors.Cursor | None) -> Listing:
    """Read a page in two queries, whatever its depth and length."""
    matching = payouts(tenant_id=tenant_id, filters=filters)
    page = cursors.slice_of(with_dispatch(matching), by="initiated_at", place=place)
    path = reverse("console:payouts")
    sums = totals(tenant_id=tenant_id, filters=filters)
    count = sum(row[2] for row in sums)
    in_state = sum(row[2] for row in sums if not filters.state or row[0] == filters.state)
    return Listing(
        rows=[row_of(operation) for operation in page.rows],
        totals=_chips(sums, filters=filters, path=path, count=count),
        pager=cursors.pager(
            page, path=path, parameters=filters.parameters(), note=f"{len(page.rows)} of {in_state:,} payouts"
        ),
        csv_href=f"{reverse('console:payouts-csv')}?{urlencode(filters.parameters())}" if page.rows else "",
        csv_note=f"The newest {export.MOST_ROWS:,} of {in_state:,}"
        if in_state > export.MOST_ROWS
        else "All rows",
        empty_title="No payout matches" if filters.is_set else "No payouts yet",
        empty_text="Widen the filters, or clear them."
        if filters.is_set
        else "Close a month, then enqueue its statements: each becomes a payout and appears here.",
    )


def with_dispatch(rows: QuerySet[Operation]) -> QuerySet[Operation]:
    """Add the status of the latest attempt to each row."""
    latest = (
        DispatchAttempt.objects.filter(operation_id=OuterRef("pk")).order_by("-attempt").values("status")[:1]
    )
    return rows.annotate(dispatch_status=Subquery(latest))


def totals(*, tenant_id: str, filters: Filters) -> list[tuple[str, str, int, int]]:
    """Sum the payouts by state and currency: (state, currency, count, cents), over every page and state."""
    every_state = Filters(**{**filters.__dict__, "state": ""})
    rows = (
        payouts(tenant_id=tenant_id, filters=every_state)
        .values_list("state", "currency")
        .annotate(count=Count("pk"), cents=Sum("amount_cents"))
        .order_by("currency")
    )
    order = list(words.STATE_LABELS)
    return sorted(
        ((s, c, n, cents) for s, c, n, cents in rows), key=lambda row: (order.index(row[0]), row[1])
    )


def _chips(sums: list[tuple[str, str, int, int]], *, filters: Filters, path: str, count: int) -> list[Total]:
    def href(state: str) -> str:
        return f"{path}?{urlencode(filters.parameters(state=state))}"

    every = Total("All", f"{count:,}", "", href(""), is_chosen=not filters.state)
    return [every] + [
        Total(
            words.STATE_LABELS[state],
            f"{n:,}",
            money.show(cents, currency),
            href(state),
            state == filters.state,
        )
        for state, currency, n, cents in sums
    ]


def row_of(operation: Operation) -> Row:
    """Shape one payout for the list."""
    dispatch = getattr(operation, "dispatch_status", None) or ""
    shows = dispatch in SHOWN_DISPATCH and operation.state == "initiated"
    return Row(
        href=href_of(operation),
        party_id=operation.party_id,
        period=operation.period,
        amount=money.show(operation.amount_cents, operation.currency),
        state=words.STATE_LABELS[operation.state],
        tone=words.STATE_TONES[operation.state],
        dispatch=words.DISPATCH_LABELS[dispatch] if shows else "",
        dispatch_tone=words.DISPATCH_TONES[dispatch] if shows else "",
        provider_id=operation.provider_id,
        provider_ref=operation.provider_ref,
        reason=operation.reason_code,
        initiated_at=words.moment(operation.initiated_at),
    )
