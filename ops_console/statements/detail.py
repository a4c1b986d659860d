"""GET /console/statements/{period}/{partyId}: one statement, from its entries to its payout."""

import json
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from moneyrails.models import PayoutOutcome
from ops_console import cursors, shell, words
from ops_console.access import Visit, workspace
from ops_console.errors import Fact
from ops_console.journal.links import account_href, adjustment_href, entry_href, run_href, run_of
from ops_console.payouts.listing import href_of
from ops_console.statements import listing
from ops_console.statements.addresses import statement_href
from settld.artifacts import queries as artifacts
from settld.closing import queries as closing
from settld.closing.models import PartyStatement
from settld.closing.queries import StatementNotFound
from settld.core import clock, money
from settld.core.errors import NotFound
from settld.kernel.models import Adjustment, PayoutAllocation, SettlementReceipt
from settld.ledger.models import Allocation, JournalEntry

LINES: Final = 50
REFERENCES: Final = 100
REF_LABELS: Final = {
    "receipt": "Receipt",
    "adjustment": "Adjustment",
    "ledger_entry": "Entry by hand",
    "carry_in": "Carried in",
}


@dataclass(frozen=True)
class Sum:
    """One line of how the pay came about."""

    label: str
    amount: str
    hint: str = ""
    is_total: bool = False


@dataclass(frozen=True)
class Line:
    """One general-ledger line of the party."""

    entry_id: str
    href: str
    memo: str
    run_href: str
    account: str
    account_href: str
    amount: str


@dataclass(frozen=True)
class Reference:
    """One thing that the statement pays."""

    kind: str
    ref_id: str
    href: str
    amount: str
    payout: str
    payout_href: str


@dataclass(frozen=True)
class Page:
    """The page."""

    period: str
    party_id: str
    title: str
    badges: list[tuple[str, str]]
    others: list[tuple[str, str, bool]]
    sums: list[Sum]
    facts: list[Fact]
    accounts: list[tuple[str, str, str]]
    lines: list[Line]
    lines_note: str
    pager: cursors.Pager | None
    references: list[Reference]
    references_note: str
    payouts: list[tuple[str, str, str, str]]
    enqueue_href: str
    document_problem: str


@workspace("finance_read")
def statement(request: HttpRequest, visit: Visit, period: str, party_id: str) -> HttpResponse:
    """Show a party's statement; of several the one that the address names, else the first."""
    if not clock.is_period(period):
        raise NotFound()
    rows = list(closing.listing(tenant_id=visit.tenant_id, period=period, party_id=party_id)[:20])
    if not rows:
        raise StatementNotFound()
    asked = (request.GET.get("role", ""), request.GET.get("currency", ""))
    chosen = next((row for row in rows if (row.party_role, row.currency) == asked), rows[0])
    after = request.GET.get("after", "").replace("\x00", "")[:1100]
    page = build(visit, chosen, rows, after=after)
    return shell.page(request, visit, "ops_console/statements/detail.html", {"page": page}, key="statements")


def build(visit: Visit, row: PartyStatement, rows: list[PartyStatement], *, after: str) -> Page:
    """Read everything about one statement in a fixed number of queries."""
    body, problem = _body(row)
    lines, more = _lines(row, after)
    payouts, has_own = _payouts(row)
    can_enqueue = (
        visit.may("finance_write") and not has_own and row.payable_cents > 0 and row.status == "CLOSED"
    )
    references = _references(row)
    return Page(
        period=row.period,
        party_id=row.party_id,
        title=f"{words.label(row.party_role)}, {row.currency}",
        badges=[
            ("good" if row.status == "CLOSED" else "info", words.label(row.status.lower())),
            ("quiet", "From the ledger" if row.source == "derived" else "By hand"),
        ],
        others=[(_title(one), _href(one), one.pk == row.pk) for one in rows] if len(rows) > 1 else [],
        sums=_sums(row, body),
        facts=_facts(row, body),
        accounts=[
            (name, account_href(name), money.show(cents, row.currency))
            for name, cents in sorted((body.get("totalsByAccountId") or {}).items())
            if isinstance(cents, int)
        ],
        lines=lines,
        lines_note=f"{row.allocation_count:,} in all; credit is minus"
        if row.allocation_count
        else "Credit is minus",
        pager=cursors.Pager(
            note=words.count(len(lines), "line") + " on this page",
            previous_href=_href(row) if after else "",
            next_href=f"{_href(row)}&after={more}" if more else "",
        ),
        references=references,
        references_note=_references_note(row),
        payouts=payouts,
        enqueue_href=listing.enqueue_href(period=row.period, party_id=row.party_id) if can_enqueue else "",
        document_problem=problem,
    )


def _title(row: PartyStatement) -> str:
    return f"{words.label(row.party_role)}, {row.currency}"


def _href(row: PartyStatement) -> str:
    return statement_href(
        period=row.period, party_id=row.party_id, role=row.party_role, currency=row.currency
    )


def _body(row: PartyStatement) -> tuple[dict[str, Any], str]:
    """Read the body of the stored document; one that cannot be read is said, and the page goes on."""
    found = artifacts.find(tenant_id=row.tenant_id, artifact_id=row.artifact_id)
    try:
        document = json.loads(found.body) if found is not None else {}
        body = document.get("statement", document)
    except (ValueError, AttributeError):
        body = None
    if not isinstance(body, dict) or found is None:
        return {}, "The statement's document is missing or cannot be read."
    return body, ""


def _sums(row: PartyStatement, body: dict[str, Any]) -> list[Sum]:
    def text(cents: Any) -> str:
        return money.show(cents, row.currency) if isinstance(cents, int) else "unknown"

    if row.source != "derived":
        return [Sum("Payable", text(row.payable_cents), "as it was stated by hand", is_total=True)]
    earned = row.period_payout_cents or 0
    gross = earned + row.payable_carry_in_cents
    return [
        Sum("Fees", text(body.get("feesCents")), "platform revenue attributed to the party"),
        Sum("Earned in the period", text(earned)),
        Sum("Carried in", text(row.payable_carry_in_cents), "what the close before left open"),
        Sum("Gross", text(gross), is_total=True),
        Sum("Paid by this statement", text(row.payout_cents), _why(row, gross), is_total=True),
        Sum("Carried on", text(row.payable_carry_out_cents), "recovered from, or added to, a later month"),
    ]


def _why(row: PartyStatement, gross: int) -> str:
    if row.payout_cents == 0 and gross != 0:
        return "an earlier close of this month was paid already, so only the rest is carried on"
    if gross < 0:
        return "below zero: nothing is paid, and all of it is carried on"
    return "" if row.payable_cents else "nothing is due"


def _facts(row: PartyStatement, body: dict[str, Any]) -> list[Fact]:
    facts = [
        Fact("Generation", str(row.generation)),
        Fact("Payable after", f"{words.moment(row.payable_after)} UTC" if row.payable_after else "At once"),
    ]
    for name, label in (
        ("netCents", "Net"),
        ("creditsCents", "Customer credits"),
        ("balanceDeltaCents", "All accounts"),
    ):
        if isinstance(body.get(name), int):
            facts.append(Fact(label, money.show(body[name], row.currency)))
    if row.allocation_count is not None:
        facts.append(Fact("Lines", f"{row.allocation_count:,}"))
    if isinstance(body.get("allocationDigest"), str):
        facts.append(Fact("Digest of the lines", body["allocationDigest"], is_code=True))
    facts.append(Fact("Statement hash", row.statement_hash, is_code=True))
    return facts


# --- Lines ----------------------------------------------------------------------------------------
def _lines(row: PartyStatement, after: str) -> tuple[list[Line], str]:
    """Read a page of the party's lines by their number in the journal, with their memos: two queries."""
    place = int(after) if after.isascii() and after.isdigit() and len(after) <= 18 else 0
    found = list(
        Allocation.objects.filter(
            tenant_id=row.tenant_id, period=row.period, party_id=row.party_id,
            party_role=row.party_role, currency=row.currency, id__gt=place,
        ).order_by("id")[: LINES + 1]
    )  # fmt: skip
    has_more, found = len(found) > LINES, found[:LINES]
    memos = dict(
        JournalEntry.objects.filter(
            tenant_id=row.tenant_id, entry_id__in={one.entry_id for one in found}
        ).values_list("entry_id", "memo")
    )
    lines = [_line(one, memos.get(one.entry_id, "")) for one in found]
    return lines, str(found[-1].pk) if has_more else ""


def _line(one: Allocation, memo: str) -> Line:
    run_id = run_of(memo)
    return Line(
        entry_id=one.entry_id,
        href=entry_href(one.entry_id),
        memo=memo,
        run_href=run_href(run_id) if run_id else "",
        account=one.account_id,
        account_href=account_href(one.account_id),
        amount=money.show(one.amount_cents, one.currency),
    )


# --- What it pays, and what paid it ---------------------------------------------------------------
def _references(row: PartyStatement) -> list[Reference]:
    """List the first references with where each leads: two queries for runs, one for live payouts."""
    given = [ref for ref in row.references[:REFERENCES] if isinstance(ref, dict)]
    names = [str(ref.get("id") or "") for ref in given]
    runs: dict[str, str | None] = dict(
        SettlementReceipt.objects.filter(tenant_id=row.tenant_id, receipt_id__in=names).values_list(
            "receipt_id", "run_id"
        )
    )
    runs |= dict(
        Adjustment.objects.filter(tenant_id=row.tenant_id, adjustment_id__in=names).values_list(
            "adjustment_id", "run_id"
        )
    )
    live = dict(
        PayoutAllocation.objects.filter(
            tenant_id=row.tenant_id, ref_id__in=names, released_at__isnull=True
        ).values_list("ref_id", "operation_id")
    )
    return [_reference(row, ref, runs, live) for ref in given]


def _reference(
    row: PartyStatement, ref: dict[str, Any], runs: dict[str, Any], live: dict[str, str]
) -> Reference:
    kind, name = str(ref.get("type") or ""), str(ref.get("id") or "")
    cents = ref.get("amountCents")
    run_id = runs.get(name)
    href = adjustment_href(name) if kind == "adjustment" else ""
    if run_id:
        href = f"{run_href(run_id)}#{name}"
    elif kind == "ledger_entry":
        href = entry_href(name)
    operation = live.get(name, "")
    return Reference(
        kind=REF_LABELS.get(kind, words.label(kind)),
        ref_id=name,
        href=href,
        amount=money.show(cents, row.currency) if isinstance(cents, int) else "",
        payout="In a payout" if operation else "",
        payout_href=f"{reverse('console:payouts')}?q={operation}"
        if operation and len(operation) <= 500
        else "",
    )


def _references_note(row: PartyStatement) -> str:
    count = len(row.references)
    return f"The first {REFERENCES} of {count:,}" if count > REFERENCES else words.count(count, "reference")


def _payouts(row: PartyStatement) -> tuple[list[tuple[str, str, str, str]], bool]:
    """List the payouts of the party's month, this statement's first, and whether it has one."""
    found = list(
        PayoutOutcome.objects.filter(
            tenant_id=row.tenant_id, party_id=row.party_id, period=row.period
        ).select_related("operation").order_by("-created_at")[:20]
    )  # fmt: skip
    found.sort(key=lambda one: one.payout_key != row.payout_key)
    return [_payout(one, row) for one in found], any(one.payout_key == row.payout_key for one in found)


def _payout(one: PayoutOutcome, row: PartyStatement) -> tuple[str, str, str, str]:
    whose = "Of this statement" if one.payout_key == row.payout_key else "Of another statement of the month"
    operation = one.operation
    if operation is None:
        return whose, reverse("console:chargebacks"), "All of it went into debt", "warn"
    text = f"{words.STATE_LABELS[operation.state]}, {money.show(operation.amount_cents, operation.currency)}"
    if operation.recovery_applied_cents:
        text += f"; {money.show(operation.recovery_applied_cents, operation.currency)} withheld for debt"
    return whose, href_of(operation), text, words.STATE_TONES[operation.state]
