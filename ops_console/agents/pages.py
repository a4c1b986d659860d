"""The list of agents, and one agent with its wallet, ready to print."""

import datetime as dt
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse

from ops_console import charts, words
from ops_console.errors import Fact, plain
from ops_console.journal import links
from ops_console.journal.accounts import levels_of
from ops_console.runs import listing as run_listing
from settld.core import money
from settld.core.errors import NotFound
from settld.kernel.models import Agent, FundingReceipt, PayoutReservation, Run, Settlement, Wallet
from settld.kernel.queries import payables

ROWS: Final = 50
RECENT: Final = 20
BLOCKED: Final = {
    "challenge_window_open": "Challenge window open",
    "dispute_open": "In dispute",
    "arbitration_open": "In arbitration",
    "already_allocated": "Payout under way",
}
TONES: Final = {"active": "good", "suspended": "warn", "revoked": "bad"}


class AgentNotFound(NotFound):
    """No such agent in this tenant."""

    message = "agent identity not found"


@dataclass(frozen=True)
class Row:
    """One agent."""

    href: str
    agent_id: str
    name: str
    status: str
    tone: str
    owner: str
    available: str
    escrow: str


@dataclass(frozen=True)
class Listing:
    """The page of agents."""

    rows: list[Row]
    q: str
    note: str
    next_href: str
    first_href: str


def build(*, tenant_id: str, q: str, after: str) -> Listing:
    """Read a page in two queries, sorted by id."""
    agents = Agent.objects.filter(tenant_id=tenant_id)
    if q:
        agents = agents.filter(Q(agent_id__startswith=q) | Q(display_name__icontains=q))
    if after:
        agents = agents.filter(agent_id__gt=after)
    found = list(agents.order_by("agent_id")[: ROWS + 1])
    has_more, found = len(found) > ROWS, found[:ROWS]
    wallets = {
        wallet.agent_id: wallet
        for wallet in Wallet.objects.filter(
            tenant_id=tenant_id, agent_id__in=[agent.agent_id for agent in found]
        )
    }
    path, kept = reverse("console:agents"), {"q": q} if q else {}
    return Listing(
        rows=[_row(agent, wallets.get(agent.agent_id)) for agent in found],
        q=q,
        note=f"{words.count(len(found), 'agent')} on this page",
        next_href=f"{path}?{urlencode({**kept, 'after': found[-1].agent_id})}" if has_more else "",
        first_href=f"{path}?{urlencode(kept)}" if after else "",
    )


def _row(agent: Agent, wallet: Wallet | None) -> Row:
    return Row(
        href=links.agent_href(agent.agent_id),
        agent_id=agent.agent_id,
        name=agent.display_name,
        status=words.label(agent.status),
        tone=TONES[agent.status],
        owner=f"{words.label(agent.owner_type)}: {agent.owner_id}",
        available=money.show(wallet.available_cents, wallet.currency) if wallet else "",
        escrow=money.show(wallet.escrow_locked_cents, wallet.currency) if wallet else "",
    )


@dataclass(frozen=True)
class Money:
    """One movement of the wallet that somebody outside made."""

    at: str
    title: str
    amount: str
    name: str
    href: str


@dataclass(frozen=True)
class Owed:
    """One receipt or adjustment that is owed and not paid yet."""

    name: str
    href: str
    amount: str
    note: str
    tone: str


@dataclass(frozen=True)
class Page:
    """One agent."""

    agent_id: str
    name: str
    status: str
    tone: str
    facts: list[Fact]
    wallet: list[Fact]
    chart: charts.StepChart | None
    funding: list[Money]
    payouts: list[Money]
    owed: list[Owed]
    owed_note: str
    runs: list[run_listing.Row]
    runs_href: str
    paying_note: str


def detail(*, tenant_id: str, agent_id: str, now: dt.datetime) -> Page:
    """Read an agent in a fixed number of queries. Raises AgentNotFound."""
    agent = Agent.objects.filter(tenant_id=tenant_id, agent_id=agent_id).first()
    if agent is None:
        raise AgentNotFound()
    wallet = Wallet.objects.filter(tenant_id=tenant_id, agent_id=agent_id).first()
    runs = list(Run.objects.filter(tenant_id=tenant_id, agent_id=agent_id).order_by("-created_at")[:RECENT])
    settlements = {
        row.run_id: row
        for row in Settlement.objects.filter(tenant_id=tenant_id, run_id__in=[run.run_id for run in runs])
    }
    paying = Settlement.objects.filter(tenant_id=tenant_id, payer_agent_id=agent_id, status="locked").count()
    currency = wallet.currency if wallet else "USD"
    owed = payables.listing(tenant_id=tenant_id, agent_id=agent_id, as_of=now, currency=currency)
    return Page(
        agent_id=agent.agent_id,
        name=agent.display_name,
        status=words.label(agent.status),
        tone=TONES[agent.status],
        facts=_facts(agent),
        wallet=_wallet(tenant_id, wallet),
        chart=_chart(tenant_id, wallet, now=now),
        funding=_funding(tenant_id, agent_id),
        payouts=_payouts(tenant_id, agent_id),
        owed=[_owed(item) for item in owed.items[:RECENT]],
        owed_note=f"{money.show(owed.payable_cents, currency)} payable,"
        f" {money.show(owed.blocked_cents, currency)} waiting",
        runs=[run_listing.row_of(run, settlements.get(run.run_id)) for run in runs],
        runs_href=run_listing.search(agent=agent_id),
        paying_note=f"Pays for {words.count(paying, 'run')} still open" if paying else "",
    )


def _facts(agent: Agent) -> list[Fact]:
    facts = [
        Fact("Owner", f"{words.label(agent.owner_type)}: {agent.owner_id}"),
        Fact("Description", agent.description or ""),
        Fact("Capabilities", ", ".join(agent.capabilities)),
        Fact("Wallet policy", plain(agent.wallet_policy) if agent.wallet_policy else ""),
        Fact("Key", agent.key_id, is_code=True),
        Fact("Registered (UTC)", words.moment(agent.created_at)),
    ]
    return [fact for fact in facts if fact.value]


def _account(tenant_id: str, wallet: Wallet) -> str:
    return f"wallet:{tenant_id}:{wallet.wallet_id}:available"


def _wallet(tenant_id: str, wallet: Wallet | None) -> list[Fact]:
    if wallet is None:
        return []
    account = _account(tenant_id, wallet)
    escrow = f"wallet:{tenant_id}:{wallet.wallet_id}:escrow_locked"
    return [
        Fact(
            "Available", money.show(wallet.available_cents, wallet.currency), href=links.account_href(account)
        ),
        Fact(
            "In escrow",
            money.show(wallet.escrow_locked_cents, wallet.currency),
            href=links.account_href(escrow),
        ),
        Fact("Credited in all", money.show(wallet.total_credited_cents, wallet.currency)),
        Fact("Debited in all", money.show(wallet.total_debited_cents, wallet.currency)),
    ]


def _chart(tenant_id: str, wallet: Wallet | None, *, now: dt.datetime) -> charts.StepChart | None:
    if wallet is None:
        return None
    account = _account(tenant_id, wallet)
    levels = levels_of(tenant_id=tenant_id, account_id=account, currency=wallet.currency)
    if not levels:
        return None
    return charts.step_chart(levels, now=now, currency=wallet.currency, what="Available")


def _funding(tenant_id: str, agent_id: str) -> list[Money]:
    receipts = FundingReceipt.objects.filter(tenant_id=tenant_id, agent_id=agent_id)
    return [
        Money(
            words.moment(row.created_at),
            f"{words.label(row.source_type)}{f', {row.external_ref}' if row.external_ref else ''}",
            money.show(row.amount_cents, row.currency),
            row.receipt_id,
            links.entry_href(row.journal_entry_id),
        )
        for row in receipts.order_by("-created_at")[:RECENT]
    ]


def _owed(item: payables.Item) -> Owed:
    note, tone = "Payable", "good"
    if item.blocked_reason:
        note, tone = BLOCKED.get(item.blocked_reason, words.label(item.blocked_reason)), "warn"
    if item.blocked_reason == "challenge_window_open" and item.eligible_at:
        note = f"Until {words.moment(item.eligible_at)}"
    return Owed(
        name=item.run_id or item.ref.id,
        href=f"{links.run_href(item.run_id)}#{item.ref.id}" if item.run_id else "",
        amount=money.show(item.amount_cents, item.currency),
        note=note,
        tone=tone,
    )


def _payouts(tenant_id: str, agent_id: str) -> list[Money]:
    rows = PayoutReservation.objects.filter(tenant_id=tenant_id, agent_id=agent_id)
    return [
        Money(
            words.moment(row.created_at),
            words.label(row.state),
            money.show(row.amount_cents, row.currency),
            words.payout_subject(row.operation_id),
            links.payout_search(row.operation_id),
        )
        for row in rows.order_by("-created_at")[:RECENT]
    ]
