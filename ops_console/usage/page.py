"""A month's use, ready to print: the plan, the limit, the estimate, the drafts and the events."""

import datetime as dt
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from billing.plans import estimate as pricing
from billing.plans import queries
from billing.plans.services import period_close
from ops_console import charts, cursors, words
from ops_console.errors import Fact
from ops_console.journal import links
from settld.core import clock, money
from settld.metering import queries as metering
from settld.metering.models import UsageCounter, UsageEvent

MOST_MONTHS: Final = 12
MOST_DRAFTS: Final = 20
KINDS: Final = {
    "verified_run": "Verified run",
    "settled_volume": "Settled volume",
    "arbitration_usage": "Arbitration case",
}


@dataclass(frozen=True)
class Month:
    """One month to choose."""

    month: str
    href: str
    is_chosen: bool


@dataclass(frozen=True)
class Charge:
    """One line of the estimate."""

    title: str
    how: str
    amount: str


@dataclass(frozen=True)
class Event:
    """One billable use."""

    at: str
    kind: str
    key: str
    run: str
    run_href: str
    quantity: str
    amount: str


@dataclass(frozen=True)
class Draft:
    """One invoice draft that was kept."""

    made_at: str
    cutoff: str
    total: str
    href: str
    artifact_hash: str


@dataclass(frozen=True)
class Page:
    """The page."""

    period: str
    months: list[Month]
    plan: list[Fact]
    meter: charts.Meter | None
    limit_note: str
    limit_tone: str
    charges: list[Charge]
    total: str
    unbilled: list[str]
    drafts: list[Draft]
    events: list[Event]
    pager: cursors.Pager
    draft_href: str


def build(
    *, tenant_id: str, period: str, place: cursors.Cursor | None, may_write: bool, now: dt.datetime
) -> Page:
    """Read the page in a fixed number of queries."""
    config = queries.config(tenant_id=tenant_id)
    plan = config.resolved
    usage = metering.usage(tenant_id=tenant_id, period=period)
    cost = pricing.price(plan, usage)
    events = UsageEvent.objects.filter(tenant_id=tenant_id, period=period)
    page = cursors.slice_of(events, by="occurred_at", place=place)
    limit = plan.hard_limit_verified_runs_per_month if config.hard_limit_enforced else 0
    note, tone = _limit(usage.verified_runs, limit, plan.included_verified_runs_per_month)
    whole = limit or plan.included_verified_runs_per_month
    path = reverse("console:usage")
    return Page(
        period=period,
        months=_months(tenant_id, period, now=now),
        plan=[
            Fact("Plan in force", plan.display_name),
            Fact("Verified runs", f"{usage.verified_runs:,}"),
            Fact("Settled volume", money.show(usage.settled_volume_cents, "USD")),
            Fact("Arbitration cases", f"{usage.arbitration_cases:,}"),
            Fact("Billable events", f"{usage.event_count:,}"),
        ],
        meter=charts.meter([(usage.verified_runs, tone)], whole=whole, summary=note) if whole else None,
        limit_note=note,
        limit_tone=tone,
        charges=_charges(cost),
        total=money.show(cost.total_cents, "USD"),
        unbilled=[money.show(cents, name) for name, cents in usage.unbilled_volume.items()],
        drafts=_drafts(tenant_id, period),
        events=[_event(row) for row in page.rows],
        pager=cursors.pager(
            page,
            path=path,
            parameters={"period": period},
            note=f"{words.count(len(page.rows), 'event')} on this page",
        ),
        draft_href=reverse("console:usage-draft", args=[period]) if may_write else "",
    )


def _limit(used: int, limit: int, included: int) -> tuple[str, str]:
    """Say how far the month is, and how worried to be."""
    if limit:
        left = max(limit - used, 0)
        tone = "bad" if not left else "warn" if left * 10 <= limit else "good"
        return f"{used:,} of {limit:,} verified runs used; {left:,} left before runs are refused", tone
    above = max(used - included, 0)
    if above:
        return f"{used:,} verified runs, {above:,} above the {included:,} that the plan includes", "warn"
    return f"{used:,} of the {included:,} verified runs that the plan includes", "good"


def _months(tenant_id: str, period: str, *, now: dt.datetime) -> list[Month]:
    known = UsageCounter.objects.filter(tenant_id=tenant_id).order_by("-period")
    names = set(known.values_list("period", flat=True).distinct()[:MOST_MONTHS])
    names |= {period, clock.period_of(now)}
    path = reverse("console:usage")
    return [
        Month(name, f"{path}?{urlencode({'period': name})}", name == period)
        for name in sorted(names, reverse=True)
    ]


def _charges(cost: pricing.Estimate) -> list[Charge]:
    plan = cost.plan
    rate = plan.verified_run_overage_millicents
    return [
        Charge("Subscription", "per month", money.show(plan.subscription_cents, "USD")),
        Charge(
            "Runs above the allowance",
            f"{words.count(cost.overage_units, 'run')} at {rate / 1000:g} cents",
            money.show(cost.overage_cents, "USD"),
        ),
        Charge(
            "Fee on settled volume",
            f"{plan.settled_volume_fee_bps / 100:g} % of what was released",
            money.show(cost.volume_fee_cents, "USD"),
        ),
        Charge(
            "Arbitration cases",
            f"{money.show(plan.arbitration_case_fee_cents, 'USD')} each",
            money.show(cost.arbitration_fee_cents, "USD"),
        ),
    ]


def _drafts(tenant_id: str, period: str) -> list[Draft]:
    drafts = []
    for artifact in period_close.stored(tenant_id=tenant_id, period=period)[:MOST_DRAFTS]:
        document = artifact.document
        drafts.append(
            Draft(
                made_at=words.moment(artifact.created_at),
                cutoff=str(document["cutoffAt"])[:19].replace("T", " "),
                total=money.show(int(document["invoice"]["totalEstimatedCents"]), "USD"),
                href=reverse("console:usage-document", args=[artifact.artifact_id]),
                artifact_hash=artifact.artifact_hash,
            )
        )
    return drafts


def _event(row: UsageEvent) -> Event:
    amount = row.amount_cents
    return Event(
        at=words.moment(row.occurred_at),
        kind=KINDS.get(row.event_type, words.label(row.event_type)),
        key=row.event_key,
        run=row.run_id or "",
        run_href=links.run_href(row.run_id) if row.run_id else "",
        quantity=f"{row.quantity:,}",
        amount="" if amount is None else money.show(amount, row.currency or "USD"),
    )
