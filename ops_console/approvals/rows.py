"""Approvals as the console prints them."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django.urls import reverse

from moneyrails.models import Approval
from moneyrails.queries import approvals as queries
from moneyrails.services import approvals
from moneyrails.services.approval_refusals import KindUnknown, PersonRequired, SelfApproval
from ops_console import people, words
from ops_console.access import Visit
from ops_console.controls import wording
from ops_console.controls.wording import Line
from settld.tenants.services import hands

TONES: Final[dict[str, str]] = {
    "pending": "warn",
    "approved": "good",
    "rejected": "bad",
    "expired": "quiet",
    "withdrawn": "quiet",
    "superseded": "quiet",
}


@dataclass(frozen=True)
class Row:
    """One approval in the list."""

    href: str
    title: str
    summary: str
    status: str
    tone: str
    asked_by: str
    asked_at: str
    until: str
    is_mine: bool


@dataclass(frozen=True)
class Detail:
    """One approval in full."""

    approval_id: str
    title: str
    status: str
    tone: str
    is_pending: bool
    is_mine: bool
    may_approve: bool
    obstacle: str
    lines: list[Line]
    facts: list[tuple[str, str]]
    reason: str
    body: str
    base: str
    changed_since: list[Line]


def rows(found: Sequence[Approval], visit: Visit) -> list[Row]:
    """Shape a page of approvals; who may stand behind the visitor is looked up once."""
    mine = hands.of(tenant_id=visit.tenant_id, actor=visit.actor)
    names = people.names([row.requested_by for row in found])
    return [_row(row, mine, names, now=visit.now) for row in found]


def _row(row: Approval, mine: hands.Hands, names: dict[str, str], *, now: dt.datetime) -> Row:
    status = queries.status_of(row, now=now)
    until = f"{words.age(now, now=row.expires_at)} left" if status == "pending" else ""
    return Row(
        href=reverse("console:approval", args=[str(row.pk)]),
        title=approvals.title_of(row.kind),
        summary="; ".join(_sentence(change) for change in row.changes[:4]),
        status=words.label(status),
        tone=TONES[status],
        asked_by=names[row.requested_by],
        asked_at=words.moment(row.requested_at),
        until=until,
        is_mine=mine.touch(row.requested_hands),
    )


def _sentence(change: dict[str, Any]) -> str:
    field = str(change.get("field"))
    before, after = (wording.value(field, change.get(side)) for side in ("before", "after"))
    return f"{wording.label(field)}: {before} → {after}"


def detail(row: Approval, visit: Visit) -> Detail:
    """Shape one approval, with whether this visitor may approve it and why not."""
    status = queries.status_of(row, now=visit.now)
    mine = hands.of(tenant_id=visit.tenant_id, actor=visit.actor)
    obstacle, changed = "", []
    if status == "pending":
        obstacle = _obstacle(row, visit)
        changed = _changed_since(row)
    names = people.names(filter(None, [row.requested_by, row.decided_by, *row.requested_hands]))
    return Detail(
        approval_id=str(row.pk),
        title=approvals.title_of(row.kind),
        status=words.label(status),
        tone=TONES[status],
        is_pending=status == "pending",
        is_mine=mine.touch(row.requested_hands),
        may_approve=status == "pending" and not obstacle and not changed,
        obstacle=obstacle,
        lines=_lines(row),
        facts=_facts(row, names, now=visit.now),
        reason=row.request_reason,
        body=json.dumps(row.body, indent=2, ensure_ascii=False),
        base=json.dumps(row.base, indent=2, ensure_ascii=False),
        changed_since=changed,
    )


def _changed_since(row: Approval) -> list[Line]:
    """List what is no longer as it was when it was asked."""
    try:
        return wording.lines(row.base, approvals.kind_of(row.kind).base(row))
    except KindUnknown:
        return []


def _obstacle(row: Approval, visit: Visit) -> str:
    if not visit.may("finance_write"):
        return "Your role may look at changes, not decide them."
    try:
        approvals.require_second_person(row, actor=visit.actor)
    except SelfApproval:
        return "You asked for this, or can act as who did: somebody else has to approve it."
    except PersonRequired:
        return "Only a known person approves."
    return ""


def _lines(row: Approval) -> list[Line]:
    """Show everything that it would change, with what made it need a second person marked."""
    marked = {str(change.get("field")): str(change.get("why") or "") for change in row.changes}
    after = row.body.get("moneyRails") if isinstance(row.body, dict) else None
    base = row.base.get("controls", row.base) if isinstance(row.base, dict) else {}
    lines = wording.lines(base, _becomes(base, after)) if isinstance(after, dict) else []
    shown = {line.field for line in lines}
    missing = [
        Line(
            wording.label(str(change.get("field"))),
            wording.value(str(change.get("field")), change.get("before")),
            wording.value(str(change.get("field")), change.get("after")),
            str(change.get("field")),
        )
        for change in row.changes
        if change.get("field") not in shown
    ]
    return [replace(line, why=marked.get(line.field, "")) for line in [*missing, *lines]]


def _becomes(base: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    """Lay what was sent over the defaults, as the plan route does."""
    defaults = {
        "realMoneyEnabled": False, "payoutKillSwitch": False, "maxPayoutAmountCents": None,
        "dailyPayoutLimitCents": None, "allowedProviderIds": None, "dailyMismatchAlertThreshold": None,
    }  # fmt: skip
    kept = {
        name: base.get(name)
        for name in ("payoutKillSwitchReason", "payoutKillSwitchExpiresAt", "fourEyes", "connect")
    }
    policy = {"enabled": False, "negativeBalanceMode": "hold", "maxOutstandingCents": None}
    becomes = {**defaults, **kept, **{key: value for key, value in sent.items() if key != "chargebacks"}}
    becomes["chargebacks"] = policy | (sent.get("chargebacks") or {})
    if isinstance(sent.get("connect"), dict):
        becomes["connect"] = {**(base.get("connect") or {}), "enabled": False, **sent["connect"]}
    if not becomes["payoutKillSwitch"]:
        becomes |= {"payoutKillSwitchReason": None, "payoutKillSwitchExpiresAt": None}
    return becomes


def _facts(row: Approval, names: dict[str, str], *, now: dt.datetime) -> list[tuple[str, str]]:
    behind = sorted(names[name] for name in row.requested_hands if name != row.requested_by)
    facts = [
        ("Asked by", names[row.requested_by] + (f" (behind it: {', '.join(behind)})" if behind else "")),
        ("Asked", f"{words.moment(row.requested_at)} UTC"),
    ]
    if row.decided_at is not None:
        facts += [
            ("Decided by", names[row.decided_by]),
            ("Decided", f"{words.moment(row.decided_at)} UTC"),
        ]
        if row.decision_reason:
            facts.append(("Reason of the decision", row.decision_reason))
    else:
        left = words.age(now, now=row.expires_at) if row.expires_at > now else "over"
        facts.append(("Waits until", f"{words.moment(row.expires_at)} UTC ({left})"))
    return facts
