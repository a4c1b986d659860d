"""Period by provider: what ties out, at one look."""

from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.urls import reverse

from ops_console import words
from ops_console.access import Visit
from reconciliation.models import ReconcileReport
from reconciliation.queries import reports
from reconciliation.services import provider_report, turns
from reconciliation.states import Side

MONTHS: Final = 12
SIDE_LABELS: Final = {"books": "Our books", "provider": "Provider"}


@dataclass(frozen=True)
class Mark:
    """What one comparison of a cell concluded."""

    side: str
    text: str
    tone: str
    href: str
    title: str


@dataclass(frozen=True)
class Row:
    """One month."""

    period: str
    cells: list[list[Mark]]


@dataclass(frozen=True)
class Matrix:
    """The table, its columns by provider id, and its sum in words."""

    providers: list[str]
    rows: list[Row]
    note: str


def build(visit: Visit) -> Matrix:
    """Lay out the newest months; costs three queries, whatever the number of reports."""
    providers = sorted(settings.MONEY_RAILS.providers)
    months = {*turns.periods(tenant_id=visit.tenant_id, limit=MONTHS)}
    months |= set(reports.statement_periods(tenant_id=visit.tenant_id, limit=MONTHS))
    periods = sorted(months, reverse=True)[:MONTHS]
    found = {
        (row.period, row.provider_id, row.side): row
        for row in reports.latest(tenant_id=visit.tenant_id, periods=periods)
    }
    differing = sum(row.status != "pass" for row in found.values())
    return Matrix(
        providers=providers,
        rows=[Row(period, [_cell(found, period, name, visit) for name in providers]) for period in periods],
        note=f"{words.count(len(found), 'comparison')}, {differing:,} with differences"
        if found
        else "Nothing has been compared yet",
    )


def _cell(
    found: dict[tuple[str, str, str], ReconcileReport], period: str, provider_id: str, visit: Visit
) -> list[Mark]:
    sides = [Side.BOOKS.value]
    if provider_report.has_statement(provider_id) or (period, provider_id, Side.PROVIDER.value) in found:
        sides.append(Side.PROVIDER.value)
    return [mark(found.get((period, provider_id, side)), side, visit) for side in sides]


def mark(report: ReconcileReport | None, side: str, visit: Visit) -> Mark:
    """Say what a comparison concluded, or that there was none."""
    label = SIDE_LABELS[side]
    if report is None:
        return Mark(label, "Not compared", "quiet", "", f"{label}: not compared yet")
    text = "Ties out" if report.status == "pass" else difference_count(report.mismatch_count)
    age = words.age(report.last_run_at, now=visit.now)
    return Mark(
        label,
        text,
        "good" if report.status == "pass" else "bad",
        href_of(report),
        f"{label}: {text.lower()}, last looked {age} ago",
    )


def difference_count(count: int) -> str:
    """Write how many rows differ."""
    return f"{count:,} differs" if count == 1 else f"{count:,} differ"


def href_of(report: ReconcileReport) -> str:
    """Name the page of a report."""
    return reverse("console:reconciliation-report", kwargs={"artifact_id": report.artifact_id})
