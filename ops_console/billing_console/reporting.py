"""The deployment's billing in figures: revenue, invoices by month, what is blocked, what was given up."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.urls import reverse

from billing.states import BLOCKING
from ops_console import month_charts, sheets, words
from ops_console.billing_console.operations import href_of
from ops_console.billing_console.wording import label
from ops_console.month_charts import Month, MonthChart
from settld.core import clock, money

MONTHS: Final = (6, 12, 24, 36)
USUAL: Final = 12
SERIES: Final = (("paid", "Paid", "good"), ("failed", "Failed", "bad"), ("open", "Open", "warn"))
QUEUE_OF: Final = {
    "completed_pending_subscription": "sessions",
    "open": "sessions",
    "recovery_verification_pending": "holds",
}
DEAD: Final = {
    "outbox": ("Outbox jobs", "jobs"),
    "remediations": ("Remediations", "remediations"),
    "webhooks": ("Webhook events", "webhooks"),
}


@dataclass(frozen=True)
class Figure:
    """One number with its name, and where it leads."""

    label: str
    value: str
    note: str = ""
    tone: str = ""
    href: str = ""


@dataclass(frozen=True)
class MonthRow:
    """One month of one currency."""

    month: str
    paid: str
    failed: str
    open: str


@dataclass(frozen=True)
class Currency:
    """One currency's revenue and invoices."""

    code: str
    mrr: str
    chart: MonthChart
    rows: list[MonthRow]
    totals: list[Figure]


@dataclass(frozen=True)
class Page:
    """Everything that the page prints."""

    months: int
    choices: list[tuple[str, str, bool]]
    revenue: list[Figure]
    subscriptions: list[Figure]
    blocked: list[Figure]
    dead: list[Figure]
    currencies: list[Currency]
    generated_at: str
    csv_href: str


def months_of(parameters: Mapping[str, str]) -> int:
    """Read how many months back an address asks for."""
    text = parameters.get("months", "")
    return int(text) if text in {str(months) for months in MONTHS} else USUAL


def build(summary: dict[str, Any], *, months: int) -> Page:
    """Lay a summary out."""
    path = reverse("console:billing-reports")
    currencies = [_currency(row, months=months, at=summary["generatedAt"]) for row in summary["currencies"]]
    return Page(
        months=months,
        choices=[(f"{count} months", f"{path}?months={count}", count == months) for count in MONTHS],
        revenue=[
            Figure(f"Monthly recurring, {one.code}", one.mrr, "Active and past due") for one in currencies
        ],
        subscriptions=[
            Figure(label(status), f"{count:,}") for status, count in summary["subscriptions"].items() if count
        ],
        blocked=[
            Figure(
                label(status.value),
                f"{count:,}",
                "",
                "warn" if count and status != BLOCKING[0] else "",
                href_of(QUEUE_OF[status.value]),
            )
            for status in BLOCKING
            for count in (summary["blockedCheckouts"][status.value],)
        ],
        dead=[
            Figure(name, f"{count:,}", "", "bad" if count else "", href_of(queue))
            for key, (name, queue) in DEAD.items()
            for count in (summary["deadLetters"].get(key, 0),)
        ],
        currencies=currencies,
        generated_at=words.moment(clock.parse_iso(summary["generatedAt"])),
        csv_href=f"{reverse('console:billing-reports-csv')}?months={months}",
    )


def _currency(row: dict[str, Any], *, months: int, at: str) -> Currency:
    code, by_month = row["currency"], {one["month"]: one for one in row["invoices"]}
    names = _last_months(at, months)
    chart = month_charts.month_chart(
        [
            Month(name, [(by_month.get(name, {}).get(word, 0), tone) for word, _, tone in SERIES])
            for name in names
        ],
        currency=code,
        what="Invoices by month",
        labels=[text for _, text, _ in SERIES],
    )
    return Currency(
        code=code,
        mrr=money.show(row["mrrMinor"], code),
        chart=chart,
        rows=[
            MonthRow(one["month"], *(money.show(one[word], code) for word, _, _ in SERIES))
            for one in row["invoices"]
        ],
        totals=[
            Figure(text, money.show(sum(one[word] for one in row["invoices"]), code), "", tone)
            for word, text, tone in SERIES
        ],
    )


def _last_months(at: str, months: int) -> list[str]:
    """Name the months up to the one that an instant lies in, oldest first."""
    year, month = int(at[:4]), int(at[5:7])
    last = year * 12 + month - 1
    return [f"{index // 12:04d}-{index % 12 + 1:02d}" for index in range(last - months + 1, last + 1)]


# --- A file ---------------------------------------------------------------------------------------
def csv_text(summary: dict[str, Any]) -> str:
    """Write a summary as CSV, one figure a line; amounts in whole minor units."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("measure", "currency", "month", "value"))
    for row in summary["currencies"]:
        writer.writerow(("mrrMinor", row["currency"], "", row["mrrMinor"]))
        for one in row["invoices"]:
            for word, _, _ in SERIES:
                writer.writerow((f"invoices.{word}Minor", row["currency"], one["month"], one[word]))
    for group in ("subscriptions", "blockedCheckouts", "deadLetters"):
        for name, count in summary[group].items():
            writer.writerow((sheets.cell(f"{group}.{name}"), "", "", count))
    return out.getvalue()
