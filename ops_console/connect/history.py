"""An account's story out of the audit, newest first."""

from dataclasses import dataclass, field
from typing import Any, Final

from ops_console import people, words
from ops_console.connect import requirements
from ops_console.connect.filters import KYB
from ops_console.errors import Fact
from settld.audit.models import OpsAudit
from settld.audit.queries import AuditFilter, newest

MOST: Final = 50
SOURCES: Final[dict[str, str]] = {
    "sync": "Found by a sync that somebody asked for.",
    "beat": "Found by the regular look.",
    "event": "Stripe sent news of it.",
}


@dataclass(frozen=True)
class Entry:
    """One thing that happened to an account."""

    at: str
    title: str
    tone: str
    note: str
    by: str
    facts: list[Fact] = field(default_factory=list)


def entries(*, tenant_id: str, account_id: str) -> list[Entry]:
    """Read the newest entries."""
    wanted = AuditFilter(target_type="stripe_connect_account", target_id=account_id)
    rows = list(newest(tenant_id=tenant_id, wanted=wanted)[:MOST])
    names = people.names(row.actor_principal_id for row in rows)
    return [_entry(row, by=names[row.actor_principal_id]) for row in rows]


def _entry(row: OpsAudit, *, by: str) -> Entry:
    details: dict[str, Any] = row.details if isinstance(row.details, dict) else {}
    at = words.moment(row.at)
    if row.action == "STRIPE_CONNECT_ACCOUNT_CHANGED":
        changes = details.get("changes") or {}
        title, tone = _change(changes)
        return Entry(at, title, tone, SOURCES.get(str(details.get("source")), ""), by, _facts(changes))
    if row.action == "STRIPE_CONNECT_ACCOUNT_DELETE":
        return Entry(at, "Removed", "bad", _party(details), by)
    if row.action == "STRIPE_CONNECT_ACCOUNT_UPSERT":
        state = ["Active" if details.get("status") == "active" else "Disabled"]
        if details.get("isDefault"):
            state.append("the default")
        if details.get("payoutsEnabled") is False:
            state.append("payouts off")
        return Entry(at, "Configured", "info", f"{_party(details)} {', '.join(state)}.", by)
    return Entry(at, words.action(row.action), "quiet", "", by)


def _party(details: dict[str, Any]) -> str:
    party = details.get("partyId")
    return f"Mapped to {party}." if party else "Mapped to no party."


def _change(changes: dict[str, Any]) -> tuple[str, str]:
    """Say the most telling thing that changed."""
    status, kyb = changes.get("status"), changes.get("kybStatus")
    if status:
        return ("Disabled by Stripe", "bad") if status["after"] == "disabled" else ("Active again", "good")
    if kyb:
        after = kyb["after"] or "none"
        return f"{KYB.get(after, after)} at Stripe", "good" if after == "verified" else "warn"
    for name, title in (("payoutsEnabled", "Payouts"), ("transfersEnabled", "Transfers")):
        if name in changes:
            is_on = changes[name]["after"]
            return f"{title} {'allowed' if is_on else 'stopped'} by Stripe", "good" if is_on else "bad"
    return "Stripe asks for something else", "warn"


def _facts(changes: dict[str, Any]) -> list[Fact]:
    facts = []
    for name, change in changes.items():
        before, after = _value(name, change["before"]), _value(name, change["after"])
        facts.append(Fact(LABELS.get(name, name), f"{before} → {after}"))
    return facts


LABELS: Final[dict[str, str]] = {
    "status": "Status",
    "payoutsEnabled": "Payouts",
    "transfersEnabled": "Transfers",
    "kybStatus": "Checks",
    "kybCurrentlyDue": "Due",
    "kybPendingVerification": "Being checked",
    "kybDisabledReason": "Reason",
}


def _value(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return requirements.short([str(item) for item in value]) or "nothing"
    if value is None:
        return "none"
    return requirements.reason(value) if name == "kybDisabledReason" else str(value)
