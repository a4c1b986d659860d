"""The usage tab: what the plan grants, and how much of it is left."""

import datetime as dt
from dataclasses import dataclass

from billing.services import limitations
from billing.services.entitlements import EntitlementSchemaInvalid
from billing.services.limitations import Limitation, QuotaUse
from ops_console import charts, words
from ops_console.workspace_billing.desk import Desk

NEARLY_PER_CENT = 80


@dataclass(frozen=True)
class QuotaRow:
    """One counted limit with its bar."""

    name: str
    used: str
    note: str
    note_tone: str
    resets: str
    meter: charts.Meter


@dataclass(frozen=True)
class GrantRow:
    """Something that the plan has or has not."""

    name: str
    value: str
    tone: str


@dataclass(frozen=True)
class Usage:
    """What the tab shows; `problem` says why it shows nothing."""

    quotas: list[QuotaRow]
    grants: list[GrantRow]
    has_subscription: bool = True
    problem: str = ""


def build(desk: Desk) -> Usage:
    """Read the limits of the current plan and the counters of their present windows."""
    try:
        found = limitations.of(entity=desk.entity, now=desk.now)
    except EntitlementSchemaInvalid:
        return Usage(
            [], [], problem="What the plan grants cannot be read. The mistake is ours and has been reported."
        )
    return Usage(
        quotas=[_quota(one.granted.code, one.quota, now=desk.now) for one in found.limitations if one.quota],
        grants=[_grant(one) for one in found.limitations if one.quota is None],
        has_subscription=found.subscription is not None,
    )


def _quota(code: str, use: QuotaUse, *, now: dt.datetime) -> QuotaRow:
    limit, used = use.quota.limit, use.used
    is_nearly = used * 100 >= limit * NEARLY_PER_CENT
    tone = "bad" if use.is_reached else "warn" if is_nearly else "good"
    text = f"{used:,} of {limit:,} used this {use.quota.interval}"
    left = words.age(now, now=use.window.end_at)
    return QuotaRow(
        name=words.label(code),
        used=text,
        note=_note(use),
        note_tone="bad" if use.is_reached else "quiet",
        resets=f"Resets {words.moment(use.window.end_at)} UTC, in {left}",
        meter=charts.meter([(used, tone)], whole=max(limit, 1), summary=f"{words.label(code)}: {text}"),
    )


def _note(use: QuotaUse) -> str:
    if use.is_exceeded and not use.quota.is_hard:
        return f"{use.used - use.quota.limit:,} more than the plan has; not refused"
    if use.is_reached and use.quota.is_hard:
        return "Used up: more is refused until the reset"
    return f"{use.remaining:,} left"


def _grant(one: Limitation) -> GrantRow:
    granted = one.granted
    if granted.enabled is not None:
        is_in = granted.enabled
        return GrantRow(
            words.label(granted.code), "Included" if is_in else "Not included", "good" if is_in else "quiet"
        )
    return GrantRow(words.label(granted.code), ", ".join(granted.values or ()), "info")
