"""What the controls page prints, built before the template runs."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from moneyrails.models import MoneyRailControls
from moneyrails.services import controls as rails
from ops_console import charts, people, words
from ops_console.controls import wording
from ops_console.controls.queries import Usage
from ops_console.controls.wording import CURRENCY, Line
from ops_console.cursors import Pager
from settld.audit.models import OpsAudit
from settld.core import money

HISTORY_ROWS = 20


@dataclass(frozen=True)
class Stop:
    """The stop of payouts, or that there is none."""

    is_stopped: bool
    title: str
    text: str
    reason: str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)
    is_overdue: bool = False


@dataclass(frozen=True)
class Use:
    """One cap in one mode."""

    label: str
    value: str
    href: str
    meter: charts.Meter | None


@dataclass(frozen=True)
class Rule:
    """One rule in force."""

    label: str
    value: str
    note: str
    tone: str


@dataclass(frozen=True)
class Change:
    """One change of the rules in the past."""

    id: int
    at: str
    what: str
    who: str
    note: str
    lines: list[Line]
    approval_href: str


def stop_of(row: MoneyRailControls, *, now: dt.datetime, names: dict[str, str]) -> Stop:
    """Say whether payouts are stopped, why, by whom, and whether somebody should look again."""
    if not row.payout_kill_switch:
        return Stop(False, "Payouts may go", "Nothing stops them but the rules below.")
    facts = []
    if row.kill_switch_set_at is not None:
        ago = words.age(row.kill_switch_set_at, now=now)
        facts.append(("Stopped", f"{words.moment(row.kill_switch_set_at)} UTC, {ago} ago"))
    if row.kill_switch_set_by:
        facts.append(("By", names.get(row.kill_switch_set_by, row.kill_switch_set_by)))
    overdue = row.is_stop_overdue(now)
    if row.kill_switch_expires_at is not None:
        facts.append(("Meant until", f"{words.moment(row.kill_switch_expires_at)} UTC"))
    text = "Nothing is enqueued or sent, in any mode, until somebody lifts the stop."
    if overdue and row.kill_switch_expires_at is not None:
        ago = words.age(row.kill_switch_expires_at, now=now)
        text = f"It was meant to end {ago} ago and still stops everything: lift it, or extend it."
    return Stop(True, "Payouts are stopped", text, row.kill_switch_reason, facts, overdue)


def uses(row: MoneyRailControls, used: Sequence[Usage], *, now: dt.datetime) -> list[Use]:
    """Draw today's use of each cap in each mode."""
    day = now.astimezone(dt.UTC).date().isoformat()
    found = []
    for entry in used:
        mode = "real money" if entry.mode == "production" else "sandbox"
        href = f"{reverse('console:payouts')}?" + urlencode(
            {"counting": entry.mode, "date": "initiated", "from": day, "to": day}
        )
        found += [
            _use(f"Today, {mode}", entry.amount_cents, row.daily_payout_limit_cents, href,
                 f" in {words.count(entry.count, 'payout')}"),
            _use(f"Largest payout today, {mode}", entry.largest_cents, row.max_payout_amount_cents, href, ""),
        ]  # fmt: skip
    return found


def _use(label: str, used: int, cap: int | None, href: str, more: str) -> Use:
    shown = money.show(used, CURRENCY)
    if not cap:
        return Use(label, f"{shown}{more}, no cap", href, None)
    part = "above it" if used > cap else f"{used * 100 // cap}%"
    shown = f"{shown} of {money.show(cap, CURRENCY)}{more} ({part})"
    tone = "bad" if used * 100 >= cap * 95 else "warn" if used * 100 >= cap * 75 else "good"
    return Use(label, shown, href, charts.meter([(used, tone)], whole=cap, summary=shown, height=10))


def rules(row: MoneyRailControls) -> list[Rule]:
    """List the rules in force with what they do."""
    shown = rails.as_json(row)
    policy, connect = shown["chargebacks"] or {}, shown["connect"] or {}
    enabled = bool(policy.get("enabled"))
    default = connect.get("defaultAccountId")
    accounts = words.count(len(connect.get("accounts") or []), "account")
    chargeback = "Debts hold nothing back"
    if enabled:
        threshold = wording.value("chargebacks.maxOutstandingCents", policy.get("maxOutstandingCents"))
        mode = wording.value("chargebacks.negativeBalanceMode", policy.get("negativeBalanceMode"))
        chargeback = f"When a party owes: {mode}. Refused above a debt of: {threshold}"
    four_eyes = (
        "Loosening a rule needs a second person" if row.has_four_eyes else "One person may change rules"
    )
    if row.four_eyes is None:
        four_eyes += ", as the deployment says"
    return [
        Rule("Real money", "on" if row.real_money_enabled else "off",
             "Production providers may be paid through" if row.real_money_enabled
             else "Production providers refuse every payout", "warn" if row.real_money_enabled else "quiet"),
        _cap_rule("maxPayoutAmountCents", row.max_payout_amount_cents, "Of the net amount of one payout"),
        _cap_rule("dailyPayoutLimitCents", row.daily_payout_limit_cents, "Per mode and UTC day"),
        Rule("Allowed providers", wording.value("allowedProviderIds", row.allowed_provider_ids),
             "Asked again at submit", "info" if row.allowed_provider_ids else "quiet"),
        Rule("Chargeback policy", "on" if enabled else "off", chargeback, "info" if enabled else "quiet"),
        Rule("Stripe Connect", "required" if row.connect_enabled else "not required",
             f"{accounts}, default {default or 'none'}", "info" if row.connect_enabled else "quiet"),
        Rule("Mismatch alert from", wording.value("dailyMismatchAlertThreshold",
             row.daily_mismatch_alert_threshold), "New unresolved mismatches in one UTC day", "quiet"),
        Rule("Four eyes", "on" if row.has_four_eyes else "off", four_eyes,
             "good" if row.has_four_eyes else "quiet"),
    ]  # fmt: skip


def _cap_rule(name: str, cap: int | None, note: str) -> Rule:
    return Rule(wording.label(name), wording.value(name, cap), note, "info" if cap else "warn")


def changes(found: Sequence[OpsAudit]) -> list[Change]:
    """Shape past changes, each with what it changed; one query for the names of all people."""
    documents = [row.details if isinstance(row.details, dict) else {} for row in found]
    asked = [str(document.get("requestedBy") or "") for document in documents]
    names = people.names({*(row.actor_principal_id for row in found), *filter(None, asked)})
    return [
        _change(row, document, names) for row, document in zip(found, documents, strict=True)
    ]  # fmt: skip


def _change(row: OpsAudit, document: dict[str, Any], names: dict[str, str]) -> Change:
    approval, asked = document.get("approvalId"), str(document.get("requestedBy") or "")
    who = names.get(row.actor_principal_id, row.actor_principal_id)
    if asked:
        who = f"{names.get(asked, asked)}, approved by {who}"
    return Change(
        id=row.id,
        at=words.moment(row.at),
        what=_WHAT.get(row.action, words.action(row.action)),
        who=who,
        note=str(document.get("reason") or ""),
        lines=wording.lines(document.get("before"), document.get("after")),
        approval_href=reverse("console:approval", args=[approval]) if isinstance(approval, str) else "",
    )


_WHAT = {
    "BILLING_PLAN_UPSERT": "Rules set",
    "PAYOUT_KILL_SWITCH_ENGAGED": "Payouts stopped",
    "PAYOUT_KILL_SWITCH_EXTENDED": "Stop extended",
    "PAYOUT_KILL_SWITCH_LIFTED": "Stop lifted",
}


def history_pager(found: list[Change], *, has_more: bool, is_later: bool) -> Pager:
    """Make the links below the history."""
    address = reverse("console:controls")
    return Pager(
        note="Newest first",
        previous_href=f"{address}#history" if is_later else "",
        next_href=f"{address}?{urlencode({'before': found[-1].id})}#history" if has_more and found else "",
    )
