"""One account, ready to print."""

import datetime as dt
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from moneyrails.models import ConnectAccount, MoneyRailControls
from moneyrails.queries import connect as queries
from moneyrails.services.connect_accounts import AccountNotFound
from ops_console import words
from ops_console.connect import history, requirements, standing
from ops_console.connect.listing import href_of
from ops_console.errors import Fact
from ops_console.payouts.listing import Row as PayoutRow
from ops_console.payouts.listing import row_of
from settld.core import money
from settld.core.hashing import canonical_hash
from settld.stripe_gateway.outcomes import scrub

MOST_PAYOUTS = 20


@dataclass(frozen=True)
class Asked:
    """One thing that Stripe wants; `name` is what Stripe calls it."""

    text: str
    name: str
    complaint: str = ""


@dataclass(frozen=True)
class Group:
    """What Stripe wants by when."""

    title: str
    tone: str
    note: str
    items: list[Asked]


@dataclass(frozen=True)
class Account:
    """The page."""

    account_id: str
    href: str
    live_href: str
    party_id: str
    status: str
    status_tone: str
    kyb: str
    kyb_tone: str
    is_default: bool
    is_active: bool
    is_payable: bool
    verdict: str
    obstacles: list[str]
    groups: list[Group]
    nothing_asked: str
    sync_problem: str
    facts: list[Fact]
    payouts: list[PayoutRow]
    payouts_title: str
    payouts_note: str
    payouts_href: str
    history: list[history.Entry]
    version: str


def load(*, tenant_id: str, account_id: str) -> ConnectAccount:
    """Find an account; AccountNotFound when the tenant has configured none of that id."""
    row = queries.find(tenant_id=tenant_id, account_id=account_id)
    if row is None:
        raise AccountNotFound()
    return row


def build(row: ConnectAccount, *, now: dt.datetime) -> Account:
    """Read everything about an account; the number of queries is fixed."""
    tenant_id, account_id = row.tenant_id, row.account_id
    controls = MoneyRailControls.objects.filter(tenant_id=tenant_id).first()
    is_enabled = controls is not None and controls.connect_enabled
    obstacles = queries.obstacles(row, now=now)
    waiting = standing.waiting_for(tenant_id=tenant_id, account_ids=[account_id]).get(
        account_id, standing.Waiting()
    )
    rows = standing.initiated(tenant_id=tenant_id).filter(counterparty_ref=row.counterparty_ref)
    status, status_tone = standing.status_of(row)
    kyb, kyb_tone = standing.kyb_of(row)
    href = href_of(account_id)
    said = [standing.obstacle(name, row) for name in obstacles]
    groups = _groups(row)
    shown = [status, kyb, said, str(groups), str(row.updated_at), bool(row.kyb_last_sync_error)]
    shown += [waiting.count, row.is_default, row.party_id, is_enabled, standing.looked(row, now=now)]
    version = canonical_hash(shown)[:16]
    return Account(
        account_id=account_id,
        href=href,
        live_href=f"{href}/live?version={version}",
        party_id=row.party_id,
        status=status,
        status_tone=status_tone,
        kyb=kyb,
        kyb_tone=kyb_tone,
        is_default=row.is_default,
        is_active=row.status == "active",
        is_payable=not obstacles,
        verdict=_verdict(is_payable=not obstacles, is_enabled=is_enabled),
        obstacles=said,
        groups=groups,
        nothing_asked=_nothing_asked(row),
        sync_problem=scrub(str((row.kyb_last_sync_error or {}).get("message", ""))),
        facts=_facts(row, now=now),
        payouts=[row_of(payout) for payout in rows.order_by("initiated_at", "id")[:MOST_PAYOUTS]]
        if waiting.count
        else [],
        payouts_title="Payouts held up" if obstacles and is_enabled else "Payouts to submit",
        payouts_note=f"{money.show(waiting.cents, 'USD')} in {words.count(waiting.count, 'payout')}"
        if waiting.count
        else "",
        payouts_href=standing.payouts_href(account_id) if waiting.count > MOST_PAYOUTS else "",
        history=history.entries(tenant_id=tenant_id, account_id=account_id),
        version=version,
    )


def _verdict(*, is_payable: bool, is_enabled: bool) -> str:
    if is_payable:
        return "Payouts may go to this account."
    if is_enabled:
        return "No payout goes to this account: enqueueing and submitting are refused."
    return "It is not fit to be paid. Connect is not enabled, so nothing here refuses a payout to it."


def _nothing_asked(row: ConnectAccount) -> str:
    if row.kyb_seen_at is None:
        return "Stripe has not been looked at yet."
    if row.kyb_status == "restricted":
        return "Stripe names nothing, but the account's details were never handed in."
    if row.kyb_disabled_reason:
        return f"Nothing can be handed in. {requirements.reason(row.kyb_disabled_reason)}."
    return "Stripe asks for nothing."


def _groups(row: ConnectAccount) -> list[Group]:
    told: dict[str, Any] = row.provider_facts or {}
    complaints = {one["requirement"]: one["reason"] for one in told.get("complaints", [])}
    late = [name for name in row.kyb_currently_due if name in told.get("pastDue", [])]
    due = [name for name in row.kyb_currently_due if name not in late]
    later = [name for name in told.get("eventuallyDue", []) if name not in row.kyb_currently_due]
    deadline = told.get("currentDeadline")
    by_when = f"By {words.moment(dt.datetime.fromtimestamp(deadline, dt.UTC))} UTC" if deadline else ""
    wanted = (
        ("Overdue", "bad", "The account stays shut until this is in", late),
        ("Due now", "warn", by_when, due),
        ("Being checked", "info", "Stripe has it and is looking", row.kyb_pending_verification),
        ("Due later", "quiet", "When more money has moved, or more time has passed", later),
    )
    return [
        Group(
            title,
            tone,
            note,
            [Asked(requirements.words(name), name, complaints.get(name, "")) for name in names],
        )
        for title, tone, note, names in wanted
        if names
    ]


def _facts(row: ConnectAccount, *, now: dt.datetime) -> list[Fact]:
    told: dict[str, Any] = row.provider_facts or {}
    capability = told.get("capabilities", {}).get("transfers", "")
    facts = [
        Fact("Party", row.party_id or "None", href=_payouts_of(row.party_id)),
        Fact("Party role", words.label(row.party_role)),
        Fact("Default", "Yes, for parties without an account of their own" if row.is_default else ""),
        Fact("Payouts", "On" if row.payouts_enabled else "Off"),
        Fact(
            "Transfers",
            ("On" if row.transfers_enabled else "Off") + (f" ({capability})" if capability else ""),
        ),
        Fact("Details handed in", _yes_or_no(told.get("detailsSubmitted"))),
        Fact("Shut because", requirements.reason(row.kyb_disabled_reason) if row.kyb_disabled_reason else ""),
        Fact("Last look", standing.looked(row, now=now)),
        Fact("Facts as of", f"{words.moment(row.kyb_seen_at)} UTC" if row.kyb_seen_at else ""),
        Fact("Changed", f"{words.moment(row.updated_at)} UTC"),
    ]
    return [fact for fact in facts if fact.value]


def _yes_or_no(told: Any) -> str:
    return ("Yes" if told else "No") if isinstance(told, bool) else ""


def _payouts_of(party_id: str) -> str:
    return f"{reverse('console:payouts')}?{urlencode({'party': party_id})}" if party_id else ""
