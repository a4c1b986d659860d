"""Balances, now and at an instant, for any history: spec/settld-billing-and-finance.md 5.1."""

import datetime as dt
import uuid
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FUNDING = "external:tenant_a:funding"
WALLETS = ["wallet:tenant_a:wallet_a:available", "wallet:tenant_a:wallet_b:available"]
ESCROW = [*WALLETS, FUNDING]
GENERAL = ["acct_cash", "acct_customer_escrow", "acct_operator_payable"]
START = dt.datetime(2026, 2, 27, tzinfo=dt.UTC)
SPAN = 4 * 86_400  # over the end of a month
# Instants around the places where days, halves of days and months meet.
instants = st.one_of(
    st.integers(0, SPAN),
    st.builds(lambda halves, off: halves * 43_200 + off, st.integers(0, 8), st.sampled_from([-1, 0, 1])),
).map(lambda seconds: START + dt.timedelta(seconds=max(0, seconds)))
legs = st.lists(st.tuples(st.integers(0, 2), st.integers(-900, 900).filter(bool)), min_size=1, max_size=3)
drafts = st.tuples(st.sampled_from(["escrow", "general"]), instants, legs, st.sampled_from(["USD", "EUR"]))
# Calls of one to three entries; an integer is a call of before, made again.
histories = st.lists(
    st.one_of(st.lists(drafts, min_size=1, max_size=3), st.integers(0, 3)), min_size=1, max_size=5
)


def draft_of(book, at, legs, currency):
    from tests.ledger import books

    names = GENERAL if book == "general" else ESCROW
    amounts = [(names[number], cents) for number, cents in legs]
    rest = sum(cents for _, cents in amounts)
    other = names[(legs[0][0] + 1) % 3]
    amounts += [(other, -rest)] if rest else [(names[0], 5), (other, -5)]
    make = books.general if book == "general" else books.escrow
    return make(f"e_{uuid.uuid4().hex}", *amounts, at=at, currency=currency)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories, moments=st.lists(instants, min_size=1, max_size=4))
def test_any_history_balances_and_every_balance_is_the_sum_of_its_postings(db, history, moments):
    from django.db import transaction

    from settld.core import tenancy
    from settld.ledger import queries
    from settld.ledger.models import Balance, Posting
    from tests.ledger import books

    undo = transaction.atomic()
    undo.__enter__()
    try:
        with tenancy.tenant_scope("tenant_a"):
            books.open_accounts()
            calls, lines = [], []
            for step in history:
                if isinstance(step, int):
                    if calls:
                        assert not books.post(*calls[step % len(calls)]).new_entry_ids
                    continue
                calls.append([draft_of(*draft) for draft in step])
                posted = books.post(*calls[-1])
                lines += [(draft.at, line) for draft in calls[-1] for line in draft.lines]
                for (account, currency), cents in posted.balances.items():
                    assert cents == oracle(lines, account, currency)
            books.settle_rules()
            assert not books.all_faults()
            sums = Counter()
            for posting in Posting.objects.all():
                sums[posting.currency] += posting.amount_cents
            assert set(sums.values()) <= {0}
            days = Counter()
            for row in Balance.objects.exclude(bucket=""):
                days[row.account_id, row.currency] += row.amount_cents
            for account in [*ESCROW, *GENERAL]:
                for currency in ("USD", "EUR"):
                    now = queries.balance(tenant_id="tenant_a", account_id=account, currency=currency)
                    assert now == days[account, currency] == oracle(lines, account, currency)
            for moment in moments:
                listed = {
                    (row.account_id, row.currency): row.amount_cents
                    for row in queries.balances(tenant_id="tenant_a", at=moment, limit=50)
                }
                for (account, currency), cents in listed.items():
                    assert cents == oracle(lines, account, currency, at=moment)
                    assert cents == queries.balance(
                        tenant_id="tenant_a", account_id=account, currency=currency, at=moment
                    )
                assert len(listed) == len({(line.account_id, line.currency) for _, line in lines})
    finally:
        transaction.set_rollback(True)
        undo.__exit__(None, None, None)


def oracle(lines, account, currency, at=None):
    return sum(
        line.amount_cents
        for when, line in lines
        if (line.account_id, line.currency) == (account, currency) and (at is None or when <= at)
    )


@pytest.fixture
def posted(books):
    from tests.ledger.books import escrow, funding, general, post

    noon = dt.datetime(2026, 3, 15, 12, tzinfo=dt.UTC)
    post(
        funding("a", 100, at=noon - dt.timedelta(days=1)),
        funding("b", 20, at=noon),
        general("g", ("acct_cash", 120), ("acct_customer_escrow", -120), at=noon),
        escrow("eur", (FUNDING, -7), (WALLETS[0], 7), currency="EUR", at=noon + dt.timedelta(hours=6)),
    )
    return noon


def test_a_balance_at_an_instant_includes_what_was_posted_then(posted):
    from settld.ledger import queries

    def at(instant):
        return queries.balance(tenant_id="tenant_a", account_id=WALLETS[0], currency="USD", at=instant)

    millisecond = dt.timedelta(milliseconds=1)
    assert [at(posted - millisecond), at(posted), at(posted - dt.timedelta(days=9))] == [100, 120, 0]
    assert at(dt.datetime(9999, 12, 31, 23, 59, tzinfo=dt.UTC)) == 120
    assert at(dt.datetime(1, 1, 1, tzinfo=dt.UTC)) == 0


def test_accounts_are_listed_by_id_and_currency_page_by_page(posted):
    from settld.ledger import queries

    def page(**more):
        found = queries.balances(tenant_id="tenant_a", **{"limit": 50} | more)
        return [(row.account_id, row.currency, row.book, row.amount_cents) for row in found]

    everything = [
        ("acct_cash", "USD", "general", 120),
        ("acct_customer_escrow", "USD", "general", -120),
        (FUNDING, "EUR", "escrow", -7),
        (FUNDING, "USD", "escrow", -120),
        (WALLETS[0], "EUR", "escrow", 7),
        (WALLETS[0], "USD", "escrow", 120),
    ]
    assert page() == everything
    assert page(limit=2, offset=3) == everything[3:5]
    assert page(account_id=FUNDING) == everything[2:4]
    assert queries.balances(tenant_id="tenant_b", limit=50) == []


def test_a_balance_that_differs_from_its_postings_is_found(posted):
    from django.db import connection

    from settld.ledger.queries import checks
    from tests.ledger.books import faults

    assert faults(checks.BALANCES_DIFFER) == []
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE ledger_balance SET amount_cents = amount_cents + 1 WHERE account_id = 'acct_cash'"
            " AND bucket = ''"
        )
        cursor.execute("UPDATE ledger_balance SET amount_cents = 0 WHERE account_id = %s", [WALLETS[0]])
    found = [(row[1], row[2], row[3], int(row[4]), int(row[5])) for row in faults(checks.BALANCES_DIFFER)]
    assert found == [
        ("acct_cash", "USD", "", 121, 120),
        (WALLETS[0], "EUR", "", 0, 7),
        (WALLETS[0], "EUR", "2026-03-15", 0, 7),
        (WALLETS[0], "USD", "", 0, 120),
        (WALLETS[0], "USD", "2026-03-14", 0, 100),
        (WALLETS[0], "USD", "2026-03-15", 0, 20),
    ]
