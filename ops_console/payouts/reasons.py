"""Why a payout's money moves: the receipts and adjustments it rests on, with the runs behind them."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from moneyrails.models import Operation
from moneyrails.queries import movement_references
from moneyrails.queries.movement_references import Reasons
from ops_console import words
from ops_console.errors import Fact
from ops_console.journal import links
from settld.core import money
from settld.kernel.models import PayoutAllocation

MOST: Final = 100
KINDS: Final = {
    "settlement_receipt": "Receipt",
    "settlement_adjustment": "Adjustment",
    "funding_receipt": "Funding receipt",
    "ledger_entry": "Entry made by hand",
    "carry_in": "Carried from an earlier month",
}


@dataclass(frozen=True)
class Reason:
    """One of them."""

    kind: str
    name: str
    href: str
    run: str
    run_href: str
    amount: str
    hash: str


@dataclass(frozen=True)
class Panel:
    """The panel of the payout's page."""

    rows: list[Reason]
    more: str
    total: str
    is_explained: bool
    note: str
    entries: list[Fact]


def build(operation: Operation) -> Panel:
    """Read the reasons in a fixed number of queries; a statement made by hand names its own."""
    found = movement_references.of_operation(operation)
    if not found.allocations:
        return _by_hand(found)
    rows = [_reason(row, found.run_ids.get(row.ref_id, "")) for row in found.allocations[:MOST]]
    hidden = len(found.allocations) - len(rows)
    currency = operation.currency
    return Panel(
        rows=rows,
        more=f"and {hidden:,} more, in the API's list of references" if hidden > 0 else "",
        total=money.show(found.explained_cents, currency),
        is_explained=found.explained_cents == operation.amount_cents,
        note="They add up to the payout" if found.explained_cents == operation.amount_cents else "",
        entries=_entries(operation, found),
    )


def _by_hand(found: Reasons) -> Panel:
    rows = [
        Reason(words.label(str(ref.get("type", ""))), str(ref.get("id", "")), "", "", "", "", "")
        for ref in found.references[:MOST]
    ]
    return Panel(rows, "", "", is_explained=False, note="As written by who made the statement", entries=[])


def _reason(row: PayoutAllocation, run_id: str) -> Reason:
    return Reason(
        kind=KINDS.get(row.ref_kind, words.label(row.ref_kind)),
        name=row.ref_id,
        href=_href(row, run_id),
        run=run_id,
        run_href=links.run_href(run_id) if run_id else "",
        amount=money.show(row.amount_cents, row.currency),
        hash=row.ref_hash,
    )


def _href(row: PayoutAllocation, run_id: str) -> str:
    if row.ref_kind == "ledger_entry":
        return links.entry_href(row.ref_id)
    if run_id:
        return f"{links.run_href(run_id)}#{row.ref_id}"
    return links.adjustment_href(row.ref_id) if row.ref_kind == "settlement_adjustment" else ""


def _entries(operation: Operation, found: Reasons) -> list[Fact]:
    """Name the entries that this payout's money made, by the operation they are named after."""
    agent = found.reservation.agent_id if found.reservation else ""
    facts = [Fact("Agent", agent, href=links.agent_href(agent))] if agent else []
    journal = f"{reverse('console:journal')}?{urlencode({'q': f'payout_{operation.operation_id}'})}"
    facts.append(Fact("Taken from the wallet", "Entry of book escrow", href=journal))
    if operation.confirmed_at:
        general = f"{reverse('console:journal')}?{urlencode({'q': f'jnl_payout_{operation.operation_id}'})}"
        facts.append(Fact("Left the bank", "Entry of book general", href=general))
    for row in found.corrections:
        facts.append(Fact(words.label(row.kind), money.show(row.amount_cents, row.currency)))
    return facts
