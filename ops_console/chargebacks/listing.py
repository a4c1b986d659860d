"""One page of debt accounts, the greatest debts first, with the totals of everything that is let through."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from django.urls import reverse

from moneyrails.models import PartyBalance
from moneyrails.queries import debt_accounts
from moneyrails.queries.chargebacks import Account
from moneyrails.queries.debt_accounts import NOTHING, AccountSums, Total
from ops_console import cursors, words
from ops_console.chargebacks import places
from ops_console.chargebacks.filters import Filters
from settld.core import money


@dataclass(frozen=True)
class Row:
    """One account."""

    href: str
    party_id: str
    mode: str
    mode_tone: str
    owes: str
    status: str
    tone: str
    reversals: str
    reversed: str
    recovered: str
    adjusted: str
    newest: str


@dataclass(frozen=True)
class Chip:
    """The debts of one mode and currency."""

    label: str
    count: str
    amount: str
    href: str
    is_chosen: bool


@dataclass(frozen=True)
class Listing:
    """The page."""

    rows: list[Row]
    chips: list[Chip]
    pager: cursors.Pager
    csv_href: str
    note: str
    empty_title: str
    empty_text: str


def href_of(account: Account) -> str:
    """Name the page of an account; the party's id is the rest of the path."""
    party = quote(account.party_id, safe="")
    return f"/console/chargebacks/of/{account.provider_mode}/{account.currency}/{party}"


def build(*, tenant_id: str, filters: Filters, place: places.Place | None) -> Listing:
    """Read a page in three queries, whatever its depth and length."""
    rows = debt_accounts.accounts(tenant_id=tenant_id, wanted=filters.wanted)
    page = places.slice_of(rows, by="outstanding_cents", place=place, has_ties=True)
    sums = debt_accounts.sums(
        tenant_id=tenant_id, of=page.rows, provider_id=filters.provider, period=filters.period
    )
    totals = debt_accounts.totals(tenant_id=tenant_id, wanted=filters.wanted)
    path = reverse("console:chargebacks")
    count = sum(total.account_count for total in totals)
    note = f"{len(page.rows)} of {words.count(count, 'party account')}"
    return Listing(
        rows=[row_of(balance, sums.get(debt_accounts.account_of(balance), NOTHING)) for balance in page.rows],
        chips=[_chip(total, filters=filters, path=path) for total in totals],
        pager=page.pager(path=path, parameters=filters.parameters(), name="at", note=note),
        csv_href=f"{reverse('console:chargebacks-csv')}?{urlencode(filters.parameters())}"
        if page.rows
        else "",
        note="Reversed, recovered and adjusted count the chosen reversals; Owes is the whole debt."
        if filters.narrows_reversals and page.rows
        else "",
        empty_title="No party matches" if filters.is_set else "Nobody owes anything",
        empty_text="Widen the filters, or clear them."
        if filters.is_set
        else "When a provider takes a confirmed payout back, the party owes its amount, and appears here.",
    )


def row_of(balance: PartyBalance, sums: AccountSums) -> Row:
    """Shape one account for the list."""
    owes = balance.outstanding_cents > 0

    def shown(cents: int) -> str:
        return money.show(cents, balance.currency)

    return Row(
        href=href_of(debt_accounts.account_of(balance)),
        party_id=balance.party_id,
        mode=balance.provider_mode.capitalize(),
        mode_tone="warn" if balance.provider_mode == "production" else "info",
        owes=shown(balance.outstanding_cents),
        status="Owes" if owes else "Clear",
        tone="bad" if owes else "good",
        reversals=f"{sums.reversed_count:,}",
        reversed=shown(sums.reversed_cents),
        recovered=shown(sums.recovered_cents),
        adjusted=shown(sums.adjusted_cents),
        newest=words.moment(sums.latest_reversed_at or balance.last_reversed_at),
    )


def _chip(total: Total, *, filters: Filters, path: str) -> Chip:
    is_chosen = filters.mode == total.provider_mode
    mode = "" if is_chosen else total.provider_mode
    return Chip(
        label=total.provider_mode.capitalize(),
        count=f"{total.owing_count:,} of {total.account_count:,}",
        amount=f"owe {money.show(total.outstanding_cents, total.currency)}",
        href=f"{path}?{urlencode(filters.parameters(mode=mode))}",
        is_chosen=is_chosen,
    )
