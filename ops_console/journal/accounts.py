"""What stands on the accounts: all of them at an instant, and one of them over time."""

import datetime as dt
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.db.models import QuerySet, Sum
from django.urls import reverse

from ops_console import charts, cursors, words
from ops_console.errors import Fact
from ops_console.journal import links
from ops_console.journal.listing import signed
from settld.core.errors import NotFound
from settld.ledger.models import Balance, LedgerAccount, Posting
from settld.ledger.states import TOTAL

ROWS: Final = 100
MOST_DAYS: Final = 366


class AccountNotFound(NotFound):
    """No such account in this tenant."""

    message = "ledger account not found"


@dataclass(frozen=True)
class Row:
    """One account in one currency."""

    account_id: str
    href: str
    owner: str
    owner_href: str
    book: str
    balance: str


@dataclass(frozen=True)
class Page:
    """The list of accounts."""

    rows: list[Row]
    next_href: str
    first_href: str
    q: str
    at: str
    note: str


def build(*, tenant_id: str, q: str, after: str, at: dt.date | None) -> Page:
    """Read a page of balances in two queries: now, or as they were when a day ended."""
    accounts = LedgerAccount.objects.filter(tenant_id=tenant_id)
    if q:
        accounts = accounts.filter(account_id__contains=q)
    if after:
        accounts = accounts.filter(account_id__gt=after)
    found = list(accounts.order_by("account_id")[: ROWS + 1])
    has_more, found = len(found) > ROWS, found[:ROWS]
    sums = _sums(tenant_id=tenant_id, account_ids=[account.account_id for account in found], at=at)
    kept = ({"q": q} if q else {}) | ({"at": at.isoformat()} if at else {})
    path = reverse("console:journal-accounts")
    rows = [row for account in found for row in _rows(account, sums.get(account.account_id, {}))]
    return Page(
        rows=rows,
        next_href=f"{path}?{urlencode({**kept, 'after': found[-1].account_id})}" if has_more else "",
        first_href=f"{path}?{urlencode(kept)}" if after else "",
        q=q,
        at=at.isoformat() if at else "",
        note=f"{words.count(len(found), 'account')} on this page",
    )


def _sums(*, tenant_id: str, account_ids: list[str], at: dt.date | None) -> dict[str, dict[str, int]]:
    parts = Balance.objects.filter(tenant_id=tenant_id, account_id__in=account_ids)
    parts = (
        parts.filter(bucket=TOTAL)
        if at is None
        else parts.filter(bucket__gt=TOTAL, bucket__lte=at.isoformat())
    )
    sums: dict[str, dict[str, int]] = {}
    for account_id, currency, cents in (
        parts.values_list("account_id", "currency").annotate(cents=Sum("amount_cents")).order_by("currency")
    ):
        sums.setdefault(account_id, {})[currency] = int(cents)
    return sums


def _rows(account: LedgerAccount, sums: dict[str, int]) -> list[Row]:
    agent_id = links.agent_of(account.account_id)
    return [
        Row(
            account_id=account.account_id,
            href=links.account_href(account.account_id),
            owner=agent_id,
            owner_href=links.agent_href(agent_id) if agent_id else "",
            book=words.label(account.book),
            balance=signed(cents, currency),
        )
        for currency, cents in (sums or {"USD": 0}).items()
    ]


@dataclass(frozen=True)
class Movement:
    """One posting on the account."""

    at: str
    entry_id: str
    href: str
    amount: str


@dataclass(frozen=True)
class Account:
    """One account's page."""

    account_id: str
    facts: list[Fact]
    chart: charts.StepChart | None
    chart_note: str
    rows: list[Movement]
    pager: cursors.Pager


def detail(*, tenant_id: str, account_id: str, place: cursors.Cursor | None, now: dt.datetime) -> Account:
    """Read an account in five queries. Raises AccountNotFound."""
    account = LedgerAccount.objects.filter(tenant_id=tenant_id, account_id=account_id).first()
    if account is None:
        raise AccountNotFound()
    sums = _sums(tenant_id=tenant_id, account_ids=[account_id], at=None).get(account_id, {})
    postings: QuerySet[Posting] = Posting.objects.filter(tenant_id=tenant_id, account_id=account_id)
    page = cursors.slice_of(postings, by="at", place=place)
    currency = next(iter(sums), "USD")
    levels = levels_of(tenant_id=tenant_id, account_id=account_id, currency=currency)
    facts = [Fact("Book", words.label(account.book))]
    facts += [Fact(f"Balance, {name}", signed(cents, name)) for name, cents in sums.items()] or [
        Fact("Balance", "nothing posted yet")
    ]
    if agent_id := links.agent_of(account_id):
        facts.append(Fact("Agent", agent_id, href=links.agent_href(agent_id)))
    facts.append(Fact("Since (UTC)", words.moment(account.created_at)))
    return Account(
        account_id=account_id,
        facts=facts,
        chart=charts.step_chart(levels, now=now, currency=currency, what="Balance") if levels else None,
        chart_note="A credit balance is drawn as its amount" if levels and _is_credit(sums) else "",
        rows=[
            Movement(
                words.moment(posting.at),
                posting.entry_id,
                links.entry_href(posting.entry_id),
                signed(posting.amount_cents, posting.currency),
            )
            for posting in page.rows
        ],
        pager=cursors.pager(
            page,
            path=links.account_href(account_id),
            parameters={},
            note=f"{words.count(len(page.rows), 'posting')} on this page",
        ),
    )


def _is_credit(sums: dict[str, int]) -> bool:
    return any(cents < 0 for cents in sums.values())


def levels_of(*, tenant_id: str, account_id: str, currency: str) -> list[charts.Level]:
    """Give the balance at the end of each day on which it changed, the newest year of them."""
    days = list(
        Balance.objects.filter(
            tenant_id=tenant_id, account_id=account_id, currency=currency, bucket__gt=TOTAL
        )
        .values_list("bucket")
        .annotate(cents=Sum("amount_cents"))
        .order_by("-bucket")[:MOST_DAYS]
    )
    total = sum(
        Balance.objects.filter(
            tenant_id=tenant_id, account_id=account_id, currency=currency, bucket=TOTAL
        ).values_list("amount_cents", flat=True)
    )
    levels = []
    for bucket, cents in days:
        levels.append(charts.Level(dt.datetime.fromisoformat(bucket).replace(tzinfo=dt.UTC), abs(total)))
        total -= int(cents)
    return levels[::-1]
