"""One party's debt account, ready to print: its reversals with what repaid them, and every entry in order."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from moneyrails.models import ChargebackEntry, Operation, PartyBalance
from moneyrails.queries import debt_accounts, debt_ledger
from moneyrails.queries.chargebacks import Account
from moneyrails.queries.debt_ledger import Repaid
from ops_console import charts, cursors, people, words
from ops_console.chargebacks import adjusting, places
from ops_console.chargebacks.listing import href_of
from ops_console.payouts.listing import href_of as payout_href
from settld.core import money
from settld.core.errors import NotFound

MOST_REPAYMENTS: Final = 12
MOST_DRAWN: Final = 80
KINDS: Final = {
    "reversal": ("Reversal", "bad"),
    "recovery": ("Recovery", "good"),
    "release": ("Release", "warn"),
    "adjustment": ("Adjustment", "info"),
}


class AccountNotFound(NotFound):
    """No reversal was ever recorded for this party, currency and mode."""

    message = "party has no reversals"


@dataclass(frozen=True)
class Line:
    """One entry."""

    seq: int
    at: str
    kind: str
    tone: str
    text: str
    payout: str
    payout_href: str
    amount: str
    after: str
    reason: str
    note: str
    by: str


@dataclass(frozen=True)
class ReversalRow:
    """One reversal and the newest of what repaid it."""

    href: str
    subject: str
    provider_id: str
    reversed_at: str
    amount: str
    recovered: str
    adjusted: str
    open: str
    tone: str
    reason: str
    lines: list[Line]
    more: str
    element_id: str
    adjust_href: str


@dataclass(frozen=True)
class Share:
    """A part of everything that was ever taken back."""

    label: str
    value: str
    tone: str


@dataclass(frozen=True)
class PartyLedger:
    """The page."""

    party_id: str
    href: str
    csv_href: str
    payouts_href: str
    owes: str
    reversed: str
    status: str
    tone: str
    mode: str
    currency: str
    meter: charts.Meter
    shares: list[Share]
    chart: charts.StepChart
    reversals: list[ReversalRow]
    reversal_pager: cursors.Pager
    lines: list[Line]
    line_pager: cursors.Pager


def load(account: Account) -> PartyBalance:
    """Find an account; NotFound when it never had a reversal."""
    balance = debt_ledger.balance(account)
    if balance is None:
        raise AccountNotFound()
    return balance


def build(
    account: Account,
    *,
    reversal_place: places.Place | None,
    line_place: places.Place | None,
    may_write: bool,
    now: dt.datetime,
) -> PartyLedger:
    """Read the page in a fixed number of queries, whatever the number of entries."""
    balance = load(account)
    sums = debt_accounts.sums(tenant_id=account.tenant_id, of=[balance])[account]
    href, owes = href_of(account), balance.outstanding_cents > 0
    lines = places.slice_of(debt_ledger.entries(account), by="seq", place=line_place)
    reversals = places.slice_of(debt_ledger.reversals(account), by="seq", place=reversal_place, size=20)
    repaid = debt_ledger.repaid(tenant_id=account.tenant_id, of=reversals.rows)
    repayments = debt_ledger.newest_repayments(
        tenant_id=account.tenant_id, of=reversals.rows, most=MOST_REPAYMENTS
    )
    shown_entries = [*lines.rows, *(entry for found in repayments.values() for entry in found)]
    names = people.names(entry.recorded_by for entry in shown_entries)
    parameters = {"r": reversal_place.write()} if reversal_place else {}
    others = {"at": line_place.write()} if line_place else {}

    def shown(cents: int) -> str:
        return money.show(cents, account.currency)

    return PartyLedger(
        party_id=account.party_id,
        href=href,
        csv_href=href.replace("/chargebacks/of/", "/chargebacks/csv/", 1),
        payouts_href=adjusting.payouts_href(account.party_id),
        owes=shown(balance.outstanding_cents),
        status="Owes" if owes else "Clear",
        tone="bad" if owes else "good",
        mode=account.provider_mode,
        currency=account.currency,
        meter=charts.meter(
            [(sums.recovered_cents, "good"), (sums.adjusted_cents, "info"), (sums.open_cents, "bad")],
            whole=sums.reversed_cents,
            summary=f"{shown(sums.open_cents)} of {shown(sums.reversed_cents)} is open",
        ),
        shares=[
            Share("Still open", shown(sums.open_cents), "bad"),
            Share("Recovered from later payouts", shown(sums.recovered_cents), "good"),
            Share("Adjusted by decision", shown(sums.adjusted_cents), "info"),
        ],
        reversed=f"{shown(sums.reversed_cents)} in {words.count(sums.reversed_count, 'reversed payout')}",
        chart=_chart(account, now=now),
        reversals=_reversals(reversals.rows, repayments, repaid, names, may_write=may_write),
        reversal_pager=reversals.pager(
            path=href, parameters=others, name="r",
            note=f"{len(reversals.rows)} of {words.count(sums.reversed_count, 'reversal')}, newest first",
        ),
        lines=[line_of(entry, names) for entry in lines.rows],
        line_pager=lines.pager(
            path=href, parameters=parameters, name="at",
            note=f"{len(lines.rows)} of {words.count(balance.entry_count, 'entry', 'entries')}, newest first",
        ),
    )  # fmt: skip


def _chart(account: Account, *, now: dt.datetime) -> charts.StepChart:
    levels = debt_ledger.levels(account, most=MOST_DRAWN)
    return charts.step_chart(
        [charts.Level(at, cents) for at, cents in levels],
        now=now,
        currency=account.currency,
        what="Owed",
    )


def _reversals(
    rows: list[ChargebackEntry],
    repayments: dict[object, list[ChargebackEntry]],
    repaid: dict[object, Repaid],
    names: dict[str, str],
    *,
    may_write: bool,
) -> list[ReversalRow]:
    return [
        _reversal(
            row,
            repaid.get(row.pk, Repaid()),
            [line_of(entry, names) for entry in repayments.get(row.pk, [])],
            may_write=may_write,
        )
        for row in rows
    ]


def _reversal(row: ChargebackEntry, repaid: Repaid, lines: list[Line], *, may_write: bool) -> ReversalRow:
    operation: Any = row.operation
    open_cents = row.amount_cents - repaid.recovered_cents - repaid.adjusted_cents
    hidden = repaid.entry_count - len(lines)

    def shown(cents: int) -> str:
        return money.show(cents, row.currency)

    return ReversalRow(
        href=payout_href(operation),
        subject=operation.period,
        provider_id=operation.provider_id,
        reversed_at=words.moment(operation.reversed_at),
        amount=shown(row.amount_cents),
        recovered=shown(repaid.recovered_cents),
        adjusted=shown(repaid.adjusted_cents),
        open=shown(open_cents),
        tone="bad" if open_cents else "good",
        reason=row.reason_code,
        lines=lines,
        more=f"and {words.count(hidden, 'earlier entry', 'earlier entries')} in the ledger" if hidden else "",
        element_id=f"repaid-{row.pk.hex}",
        adjust_href=adjusting.href_of(operation) if may_write and open_cents else "",
    )


def line_of(entry: ChargebackEntry, names: dict[str, str]) -> Line:
    """Shape one entry: what happened, by how much the debt changed, and what was owed from there on."""
    label, tone = KINDS[entry.kind]
    raises = entry.kind in ("reversal", "release")
    sign = "+" if raises else "-"
    payout, href = _payout(entry)
    return Line(
        seq=entry.seq,
        at=words.moment(entry.recorded_at),
        kind=label,
        tone=tone,
        text=_text(entry),
        payout=payout,
        payout_href=href,
        amount=f"{sign}{money.show(entry.amount_cents, entry.currency)}",
        after=money.show(entry.outstanding_after_cents, entry.currency),
        reason=entry.reason_code,
        note=entry.note,
        by=names.get(entry.recorded_by, entry.recorded_by),
    )


def _payout(entry: ChargebackEntry) -> tuple[str, str]:
    """Name the payout that an entry is about; one that went into the debt entirely has no page."""
    operation: Operation | None = entry.operation
    if operation is not None:
        return operation.period, payout_href(operation)
    match = words.PAYOUT_KEY.search(entry.payout_key)
    return (match["period"], "") if match else ("", "")


def _text(entry: ChargebackEntry) -> str:
    if entry.kind == "reversal":
        return "Payout taken back by the provider"
    if entry.kind == "recovery" and entry.operation_id is None:
        return "Whole statement put into the debt, nothing paid out"
    if entry.kind == "recovery":
        return "Withheld from a payout"
    if entry.kind == "release":
        return "Owed again: that payout did not stand"
    return "Taken off by decision"
