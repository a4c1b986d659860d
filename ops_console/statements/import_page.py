"""The preview of a statement file and the list of past imports, ready to print."""

from dataclasses import dataclass
from typing import Final

from django.urls import reverse

from ops_console import people, words
from settld.closing.models import StatementImport
from settld.closing.services import imports
from settld.closing.services.import_plan import Planned
from settld.closing.services.imports import Change, Preview
from settld.closing.statement_file import Fault
from settld.core import money

MOST_ROWS: Final = 50
MOST_IMPORTS: Final = 20
COLUMNS: Final = (
    ("party_id", "Needed", "Whom the statement is for; one line of 1 to 200 characters."),
    ("period", "Needed", "The month, YYYY-MM."),
    ("party_role", "Needed", "operator or subcontractor are paid; any other role is not."),
    ("payout_cents", "This or amount", "Whole minor units: 12345 is 123.45."),
    ("amount", "This or payout_cents", "Two decimals after a point: 123.45. No separators, no signs but -."),
    ("currency", "USD when blank", "Three capital letters."),
    ("payable_after", "May be blank", "Held back until then: 2026-03-01T00:00:00Z."),
    ("references", "May be blank", "type:id, several parted by |; settlement, receipt or adjustment."),
)
LABELS: Final = {
    "new": ("New", "good"),
    "replaced": ("Replaced", "warn"),
    "unchanged": ("Unchanged", "quiet"),
    "conflict": ("Conflict", "bad"),
}
_FORESEEN: Final = {"n": "new", "r": "replaced", "u": "unchanged", "c": "conflict"}


@dataclass(frozen=True)
class Count:
    """How many rows one thing becomes of."""

    label: str
    count: str
    tone: str


@dataclass(frozen=True)
class Row:
    """One row worth looking at."""

    line: int
    party_id: str
    period: str
    role: str
    now: str
    then: str
    label: str
    tone: str
    before: str = ""


@dataclass(frozen=True)
class Month:
    """What a file does to one month."""

    period: str
    status: str
    tone: str
    counts: list[tuple[str, str]]
    note: str


@dataclass(frozen=True)
class Page:
    """The preview."""

    file_name: str
    file_hash: str
    facts: str
    counts: list[Count]
    totals: list[tuple[str, str, str, str]]
    months: list[Month]
    faults: list[Fault]
    faults_note: str
    conflicts: list[Row]
    conflicts_note: str
    replaced: list[Row]
    replaced_note: str
    changes: list[Row]
    changes_note: str
    earlier: str
    is_clean: bool


@dataclass(frozen=True)
class Past:
    """One import that was carried out."""

    at: str
    by: str
    file_name: str
    file_hash: str
    counts: str
    totals: str
    months: str


def build(seen: Preview, *, foreseen: str, file_name: str) -> Page:
    """Shape a preview; of long lists the first rows, and how many more there are."""
    plan, file = seen.plan, seen.file
    conflicts = plan.conflicts
    replaced = [one for one in plan.planned if one.outcome == "replaced"]
    changed = imports.changes(plan, foreseen) if foreseen and seen.earlier is None else []
    return Page(
        file_name=imports.clean_name(file_name),
        file_hash=file.file_hash,
        facts=f"{words.count(len(plan.planned), 'row')} in order, {file.byte_count:,} bytes, {file.encoding}",
        counts=[Count(LABELS[key][0], f"{count:,}", LABELS[key][1]) for key, count in plan.counts.items()],
        totals=[
            (
                total.currency,
                f"{total.statement_count:,}",
                money.show(total.payout_cents, total.currency),
                money.show(total.payable_cents, total.currency),
            )
            for total in plan.totals
        ],
        months=[
            Month(
                month.period,
                words.label(month.status.lower()),
                "good" if month.status == "CLOSED" else "info",
                [(label, f"{month.counts[key]:,}") for key, (label, _) in LABELS.items()],
                "New statements are closed and payable at once."
                if month.status == "CLOSED" and month.counts["new"]
                else "",
            )
            for month in plan.months
        ],
        faults=file.faults,
        faults_note=_more(file.fault_count, len(file.faults)),
        conflicts=[_row(one) for one in conflicts[:MOST_ROWS]],
        conflicts_note=_more(len(conflicts), MOST_ROWS),
        replaced=[_row(one) for one in replaced[:MOST_ROWS]],
        replaced_note=_more(len(replaced), MOST_ROWS),
        changes=[_changed(one) for one in changed[:MOST_ROWS]],
        changes_note=_more(len(changed), MOST_ROWS),
        earlier=_earlier(seen.earlier) if seen.earlier else "",
        is_clean=seen.is_clean,
    )


def recent(*, tenant_id: str) -> list[Past]:
    """List the newest imports."""
    newest = StatementImport.objects.filter(tenant_id=tenant_id).order_by("-imported_at", "-id")
    rows = list(newest[:MOST_IMPORTS])
    named = people.names(row.imported_by for row in rows)
    return [
        Past(
            at=words.moment(row.imported_at),
            by=named[row.imported_by],
            file_name=row.file_name,
            file_hash=row.file_hash,
            counts=f"{row.new_count:,} new, {row.replaced_count:,} replaced, {row.unchanged_count:,} equal",
            totals="; ".join(money.show(int(t["payoutCents"]), t["currency"]) for t in row.totals),
            months=", ".join(month["period"] for month in row.periods[:6])
            + (" …" if len(row.periods) > 6 else ""),
        )
        for row in rows
    ]


def statements_href(period: str) -> str:
    """Name the page of a month's statements."""
    return f"{reverse('console:statements')}?period={period}"


def _row(one: Planned, *, before: str = "") -> Row:
    row = one.row
    label, tone = LABELS[one.outcome]
    return Row(
        line=row.line,
        party_id=row.party_id,
        period=row.period,
        role=words.label(row.party_role),
        now="" if one.standing_cents is None else money.show(one.standing_cents, row.currency),
        then=money.show(row.payout_cents, row.currency),
        label=label,
        tone=tone,
        before=before,
    )


def _changed(change: Change) -> Row:
    mark = change.foreseen
    was = LABELS[_FORESEEN[mark[0]]][0]
    month = "closed" if mark[1] == "c" else "open"
    return _row(change.planned, before=f"{was}, month {month}")


def _more(count: int, shown: int) -> str:
    return f"and {count - shown:,} more" if count > shown else ""


def _earlier(record: StatementImport) -> str:
    by = people.names([record.imported_by])[record.imported_by]
    return (
        f"This file was imported on {words.moment(record.imported_at)} UTC by {by}."
        " Importing it again changes nothing."
    )
