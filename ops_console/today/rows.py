"""What Today prints, built before the template runs."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.urls import reverse

from moneyrails.models import ExposureCounter, MoneyRailControls
from ops_console import charts, words
from ops_console.audit_trail.rows import AuditRow
from ops_console.today.queries import CHART_DAYS, DayState, Months, Totals, day_start
from reconciliation.models import Mismatch
from reconciliation.states import SourceType
from settld.core import money
from settld.stripe_gateway.queries import Backlog

CURRENCY = "USD"


@dataclass(frozen=True)
class Counter:
    """One number with where it leads."""

    key: str
    label: str
    value: str
    note: str
    href: str = ""
    tone: str = ""


@dataclass(frozen=True)
class LegendItem:
    """One state in the legend."""

    label: str
    value: str
    tone: str
    href: str


@dataclass(frozen=True)
class States:
    """Payouts by state: a meter with its legend."""

    meter: charts.Meter
    legend: list[LegendItem]
    caption: str


@dataclass(frozen=True)
class Usage:
    """Exposure of one mode against the cap."""

    label: str
    value: str
    href: str
    meter: charts.Meter | None


@dataclass(frozen=True)
class Broken:
    """That something does not hold which always must, and where it leads."""

    text: str
    href: str


@dataclass(frozen=True)
class Today:
    """The whole page."""

    day: str
    counters: list[Counter]
    overdue_stop: str = ""
    broken: Broken | None = None
    shows_money: bool = False
    chart: charts.DayChart | None = None
    states: States | None = None
    exposure: list[Usage] = field(default_factory=list)
    exposure_note: str = ""
    activity: list[AuditRow] | None = None


def payouts_href(**parameters: str) -> str:
    """Make the address of a filtered payout list."""
    return f"{reverse('console:payouts')}?{urlencode(parameters)}"


def payout_counters(totals: Totals, doubtful: dict[str, int], *, now: dt.datetime) -> list[Counter]:
    """Count what waits for a person and what the day moved; each leads to the list it counted."""
    today = day_start(now).date()
    in_doubt, indeterminate = doubtful.get("in_doubt", 0), doubtful.get("indeterminate", 0)
    month_ago, week_ago = today - dt.timedelta(days=29), today - dt.timedelta(days=6)
    return [
        Counter(
            key="due",
            label="Due to submit",
            value=f"{totals.due_count:,}",
            note=money.show(totals.due_cents, CURRENCY),
            href=payouts_href(state="initiated"),
        ),
        Counter(
            key="in-flight",
            label="In flight",
            value=f"{totals.in_flight_count:,}",
            note=money.show(totals.in_flight_cents, CURRENCY),
            href=payouts_href(state="submitted"),
        ),
        Counter(
            key="confirmed",
            label="Confirmed today",
            value=f"{totals.confirmed_today_count:,}",
            note=money.show(totals.confirmed_today_cents, CURRENCY),
            href=payouts_href(**{"date": "confirmed", "from": today.isoformat()}),
        ),
        Counter(
            key="doubt",
            label="Outcome unknown",
            value=f"{in_doubt + indeterminate:,}",
            note=f"{in_doubt:,} in doubt, {indeterminate:,} indeterminate"
            if in_doubt + indeterminate
            else "Every answer is in",
            href=reverse("console:unknown-outcomes"),
            tone="bad" if indeterminate else "warn" if in_doubt else "",
        ),
        Counter(
            key="failed",
            label="Failed, 7 days",
            value=f"{totals.failed_week_count:,}",
            note="Refused or returned",
            href=payouts_href(**{"date": "failed", "from": week_ago.isoformat()}),
            tone="warn" if totals.failed_week_count else "",
        ),
        Counter(
            key="reversed",
            label="Reversed, 30 days",
            value=f"{totals.reversed_month_count:,}",
            note=money.show(totals.reversed_month_cents, CURRENCY),
            href=payouts_href(**{"date": "reversed", "from": month_ago.isoformat()}),
            tone="warn" if totals.reversed_month_count else "",
        ),
    ]


def mismatch_counter(by_severity: dict[str, int]) -> Counter:
    """Count the open mismatches."""
    total, critical = sum(by_severity.values()), by_severity.get("critical", 0)
    note = f"{critical:,} critical" if total else "Books and providers agree"
    tone = "bad" if critical else "warn" if total else ""
    return Counter("mismatches", "Open mismatches", f"{total:,}", note, reverse("console:mismatches"), tone)


def month_counter(months: Months) -> Counter:
    """Count the months."""
    note = f"{months.closed_count:,} closed"
    if months.pending_count:
        note = f"{note}, {months.pending_count:,} closing"
    return Counter("months", "Months open", f"{months.open_count:,}", note, reverse("console:statements"))


def inbox_counter(backlog: Backlog, *, now: dt.datetime) -> Counter:
    """Tell how far behind the provider inbox is, over the whole deployment."""
    late = backlog.oldest_due_at is not None and backlog.oldest_due_at < now
    value = words.age(backlog.oldest_due_at, now=now) if backlog.oldest_due_at and late else "None"
    waiting = backlog.waiting + backlog.failed
    note = f"{waiting:,} waiting" if waiting else "Every event is applied"
    if backlog.dead:
        note = f"{note}, {backlog.dead:,} given up"
    seconds = (now - backlog.oldest_due_at).total_seconds() if backlog.oldest_due_at else 0
    tone = "bad" if backlog.dead else "warn" if seconds > 60 else ""
    return Counter("inbox", "Inbox lag", value, note, tone=tone)


def chart(cells: Sequence[DayState], *, now: dt.datetime) -> charts.DayChart:
    """Draw the amount initiated per day."""
    today = day_start(now).date()
    days = [today - dt.timedelta(days=back) for back in reversed(range(CHART_DAYS))]
    amounts = dict.fromkeys(days, 0)
    counts = dict.fromkeys(days, 0)
    for cell in cells:
        if cell.day in amounts and cell.currency == CURRENCY:
            amounts[cell.day] += cell.amount_cents
            counts[cell.day] += cell.count
    total = money.show(sum(amounts.values()), CURRENCY)
    return charts.day_chart(
        [
            charts.Day(
                day, amounts[day], counts[day],
                payouts_href(**{"date": "initiated", "from": day.isoformat(), "to": day.isoformat()}),
            )
            for day in days
        ],
        currency=CURRENCY,
        caption=f"{total} initiated in {CHART_DAYS} days",
    )  # fmt: skip


def states(cells: Sequence[DayState], *, now: dt.datetime) -> States:
    """Draw how many payouts are in which state."""
    counts = dict.fromkeys(words.STATE_LABELS, 0)
    for cell in cells:
        counts[cell.state] = counts.get(cell.state, 0) + cell.count
    since = (day_start(now).date() - dt.timedelta(days=29)).isoformat()
    total = sum(counts.values())
    return States(
        meter=charts.meter(
            [(count, words.STATE_TONES[state]) for state, count in counts.items()],
            whole=total,
            summary=", ".join(f"{count:,} {state}" for state, count in counts.items()),
        ),
        legend=[
            LegendItem(
                words.STATE_LABELS[state], f"{count:,}", words.STATE_TONES[state],
                payouts_href(**{"state": state, "date": "initiated", "from": since}),
            )
            for state, count in counts.items()
        ],
        caption=f"{words.count(total, 'payout')} initiated in 30 days",
    )  # fmt: skip


def exposure(
    counters: dict[str, ExposureCounter],
    controls: MoneyRailControls | None,
    *,
    modes: Sequence[str],
    now: dt.datetime,
) -> list[Usage]:
    """Draw today's exposure of each mode against the daily cap."""
    cap = (controls.daily_payout_limit_cents if controls else None) or 0
    today = day_start(now).date().isoformat()
    usages = []
    for mode in sorted({*modes, *counters}):
        used = counters[mode].amount_cents if mode in counters else 0
        count = counters[mode].operation_count if mode in counters else 0
        shown = f"{money.show(used, CURRENCY)} in {count:,}"
        bar = None
        if cap:
            shown = f"{money.show(used, CURRENCY)} of {money.show(cap, CURRENCY)} ({used * 100 // cap}%)"
            tone = "bad" if used * 100 >= cap * 95 else "warn" if used * 100 >= cap * 75 else "good"
            bar = charts.meter([(used, tone)], whole=cap, summary=f"{mode}: {shown}", height=10)
        href = payouts_href(**{"counting": mode, "date": "initiated", "from": today, "to": today})
        usages.append(
            Usage(
                label="Real money" if mode == "production" else "Sandbox", value=shown, href=href, meter=bar
            )
        )
    return usages


def overdue_stop(controls: MoneyRailControls | None, *, now: dt.datetime) -> str:
    """Ask about a stop that has outlived the instant it was meant to end at; blank when there is none."""
    if controls is None or controls.kill_switch_expires_at is None or not controls.is_stop_overdue(now):
        return ""
    ago = words.age(controls.kill_switch_expires_at, now=now)
    why = f" ({words.shortened(controls.kill_switch_reason)})" if controls.kill_switch_reason else ""
    return f"The stop of payouts{why} was meant to end {ago} ago and still holds: lift it or extend it."


def broken(cases: Sequence[Mismatch], controls: MoneyRailControls | None) -> Broken | None:
    """Say in one row which invariants are broken; it leads to the case, or to all of them."""
    if not cases:
        return None
    names = ", ".join(words.label(case.mismatch_key).lower() for case in cases[:3])
    more = f" and {len(cases) - 3:,} more" if len(cases) > 3 else ""
    stands = " Payouts are stopped." if controls is not None and controls.payout_kill_switch else ""
    href = (
        reverse("console:mismatch", args=[cases[0].triage_key])
        if len(cases) == 1
        else f"{reverse('console:mismatches')}?{urlencode({'source': SourceType.INVARIANT.value})}"
    )
    return Broken(f"What must always hold of the books does not: {names}{more}.{stands}", href)


def exposure_note(controls: MoneyRailControls | None) -> str:
    """Say which caps stand over the exposure."""
    if controls is None or not controls.daily_payout_limit_cents:
        return "No daily cap is set"
    return f"Daily cap {money.show(controls.daily_payout_limit_cents, CURRENCY)} per mode"
