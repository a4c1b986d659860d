"""Posting entries: spec/settld-billing-and-finance.md 5.1, its numbered rules."""

import dataclasses
import datetime as dt

import pytest
from django.db import connection

from settld.core import transactions
from settld.core.money import MAX_MINOR
from settld.ledger import queries
from settld.ledger.models import Allocation, Balance, JournalEntry, MonthClose, Posting
from settld.ledger.services import journal, months
from settld.ledger.services.journal import (
    LedgerAccountUnknown,
    LedgerAllocationMismatch,
    LedgerEntryConflict,
    LedgerEntryUnbalanced,
    LedgerPeriodClosed,
    Share,
)
from tests.ledger.books import (
    FUNDING,
    NOW,
    TENANT,
    WALLET_A,
    WALLET_B,
    all_faults,
    close_month,
    escrow,
    funding,
    general,
    post,
    settle_rules,
)

TWIN = (("acct_cash", 500), ("acct_customer_escrow", -500))


def counts():
    models = (JournalEntry, Posting, Allocation)
    return [model.objects.count() for model in models]


def test_an_effect_writes_entries_postings_shares_and_balances_together(books):
    posted = post(funding("fund_1", 500), general("jnl_fund_1", *TWIN))
    settle_rules()
    assert posted.new_entry_ids == {"fund_1", "jnl_fund_1"}
    assert posted.balances == {(WALLET_A, "USD"): 500}  # only exact accounts: nobody checks the others
    assert counts() == [2, 4, 2]
    entry = queries.entry(tenant_id=TENANT, entry_id="jnl_fund_1")
    assert (entry.entry.period, entry.entry.posting_count, entry.entry.at) == ("2026-03", 2, NOW)
    assert [(p.posting_id, p.account_id, p.amount_cents) for p in entry.postings] == [
        ("p0", "acct_cash", 500),
        ("p1", "acct_customer_escrow", -500),
    ]
    assert [(share.party_id, share.party_role, share.amount_cents) for share in entry.allocations] == [
        ("pty_platform", "platform", 500),
        ("pty_customer", "customer", -500),
    ]
    assert sorted(Balance.objects.values_list("account_id", "bucket", "amount_cents")) == [
        (account, bucket, cents)
        for account, cents in sorted(
            [("acct_cash", 500), ("acct_customer_escrow", -500), (FUNDING, -500), (WALLET_A, 500)]
        )
        for bucket in ("", "2026-03-15")
    ]
    assert not all_faults()


def test_an_exact_account_has_one_row_and_another_the_row_of_its_connection(books):
    post(funding("fund_1", 500))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid() % 16")
        (shard,) = cursor.fetchone()
    shards = dict(Balance.objects.filter(bucket="").values_list("account_id", "shard"))
    assert shards == {WALLET_A: 0, FUNDING: shard}


def test_the_same_entry_again_adds_nothing(books):
    """Rule 3."""
    post(funding("fund_1", 500))
    again = post(funding("fund_1", 500), now=NOW + dt.timedelta(days=40))
    assert (again.new_entry_ids, again.balances) == (frozenset(), {})
    assert counts()[0] == 1
    assert queries.balance(tenant_id=TENANT, account_id=WALLET_A, currency="USD") == 500


@pytest.mark.parametrize(
    "change",
    [
        {"memo": "another"},
        {"at": NOW + dt.timedelta(milliseconds=1)},
        {"source_id": "another"},
        {"reason": "another"},
        {"lines": funding("fund_1", 501).lines},
        {"lines": funding("fund_1", 500, wallet=WALLET_B).lines},
        {"lines": funding("fund_1", 500).lines[::-1]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_same_id_with_other_content_is_refused(books, change):
    """Rule 3 (the peer ignores it)."""
    post(funding("fund_1", 500))
    with pytest.raises(LedgerEntryConflict) as refused:
        post(dataclasses.replace(funding("fund_1", 500), **change))
    assert (refused.value.status, refused.value.code) == (409, "LEDGER_ENTRY_CONFLICT")
    assert refused.value.details == {"entryId": "fund_1"}
    assert counts() == [1, 2, 0]
    assert not all_faults()


def test_other_shares_are_other_content(books):
    post(general("g", *TWIN))
    other = [(Share("pty_x", "platform", 500),), (Share("pty_customer", "customer", -500),)]
    with pytest.raises(LedgerEntryConflict):
        post(general("g", *TWIN, shares=other))


def test_of_a_call_that_stands_in_part_only_the_rest_is_posted(books):
    post(funding("fund_1", 500))
    posted = post(funding("fund_1", 500), funding("fund_2", 70), funding("fund_3", 5, wallet=WALLET_B))
    assert posted.new_entry_ids == {"fund_2", "fund_3"}
    assert posted.balances == {(WALLET_A, "USD"): 570, (WALLET_B, "USD"): 5}
    assert not all_faults()


def test_an_entry_named_twice_in_one_call_counts_once(books):
    posted = post(funding("fund_1", 500), funding("fund_1", 500))
    assert posted.balances == {(WALLET_A, "USD"): 500}
    with pytest.raises(LedgerEntryConflict):
        post(funding("fund_2", 1), funding("fund_2", 2))


def test_a_call_without_entries_does_nothing(books, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert post().new_entry_ids == frozenset()


def test_an_effect_takes_one_statement(books, django_assert_num_queries):
    with transactions.atomic(), django_assert_num_queries(1):
        post(funding("fund_1", 500), general("jnl_fund_1", *TWIN))


@pytest.mark.parametrize(
    "lines",
    [
        [(FUNDING, -500), (WALLET_A, 499)],
        [(FUNDING, -500, "EUR"), (WALLET_A, 500, "USD")],
        [(WALLET_A, 500)],
        [],
        [(FUNDING, 0), (WALLET_A, 0)],
        [(FUNDING, -1), (WALLET_A, 1), (WALLET_B, 0)],
        [(FUNDING, -MAX_MINOR - 1), (WALLET_A, MAX_MINOR + 1)],
        [(FUNDING, -500, "usd"), (WALLET_A, 500, "usd")],
        [(FUNDING, -True), (WALLET_A, True)],
    ],
)
def test_what_does_not_balance_in_each_currency_is_refused(books, lines):
    """Rules 1 and 2."""
    with pytest.raises(LedgerEntryUnbalanced) as refused:
        post(escrow("e", *lines))
    assert (refused.value.status, refused.value.code) == (400, "LEDGER_ENTRY_UNBALANCED")
    assert counts() == [0, 0, 0]


def test_an_entry_may_hold_several_currencies_that_each_balance(books):
    posted = post(escrow("e", (FUNDING, -5), (WALLET_A, 5), (FUNDING, -7, "EUR"), (WALLET_A, 7, "EUR")))
    settle_rules()
    assert posted.balances == {(WALLET_A, "USD"): 5, (WALLET_A, "EUR"): 7}


@pytest.mark.parametrize("account", ["acct_cash", "wallet:tenant_b:wallet_a:available", "acct_nowhere"])
def test_an_account_that_is_not_of_the_book_is_refused(books, account):
    with pytest.raises(LedgerAccountUnknown) as refused:
        post(funding("fund_1", 500), escrow("e", (account, -5), (WALLET_A, 5)))
    assert (refused.value.status, refused.value.code) == (400, "LEDGER_ACCOUNT_UNKNOWN")
    assert refused.value.details == {"accountIds": [account]}
    assert counts() == [0, 0, 0]
    assert not Balance.objects.exists()


def test_an_account_of_another_tenant_is_unknown(books):
    from settld.core import tenancy
    from settld.ledger.services import accounts
    from settld.ledger.states import Book

    with tenancy.tenant_scope("tenant_b"):
        accounts.ensure(tenant_id="tenant_b", accounts=[("acct_b", Book.GENERAL, False)], now=NOW)
    with pytest.raises(LedgerAccountUnknown):
        post(general("e", ("acct_b", -5), ("acct_cash", 5)))


@pytest.mark.parametrize(
    "shares",
    [
        [(), ()],
        [(Share("p", "platform", 499),), (Share("c", "customer", -500),)],
        [(Share("p", "platform", 500), Share("q", "platform", 0)), (Share("c", "customer", -500),)],
        [(Share("p", "platform", 400), Share("p", "platform", 100)), (Share("c", "customer", -500),)],
    ],
)
def test_shares_that_do_not_make_up_their_posting_are_refused(books, shares):
    """Rule 4 and Allocations (the peer swallows allocation failures)."""
    with pytest.raises(LedgerAllocationMismatch) as refused:
        post(general("e", *TWIN, shares=shares))
    assert (refused.value.status, refused.value.code) == (400, "LEDGER_ALLOCATION_MISMATCH")
    assert counts() == [0, 0, 0]


def test_wallet_postings_are_nobodys_share(books):
    draft = funding("fund_1", 500)
    lines = tuple(
        dataclasses.replace(line, shares=(Share("p", "r", line.amount_cents),)) for line in draft.lines
    )
    with pytest.raises(LedgerAllocationMismatch):
        post(dataclasses.replace(draft, lines=lines))


def test_a_posting_may_be_shared_by_several_parties(books):
    shares = [
        (Share("pty_platform", "platform", 700), Share("pty_x", "operator", -200)),
        (Share("pty_customer", "customer", -500),),
    ]
    post(general("e", *TWIN, shares=shares))
    settle_rules()
    assert Allocation.objects.count() == 3


def test_the_period_is_the_utc_month_of_the_entry(books):
    eastern = dt.timezone(dt.timedelta(hours=-5))
    post(funding("e", 5, at=dt.datetime(2026, 1, 31, 23, tzinfo=eastern)))
    assert JournalEntry.objects.get().period == "2026-02"
    assert set(Balance.objects.values_list("bucket", flat=True)) == {"", "2026-02-01"}


def test_posting_makes_the_month_that_a_close_will_lock(books):
    post(funding("a", 5), funding("b", 5, at=NOW - dt.timedelta(days=90)))
    assert sorted(MonthClose.objects.values_list("month", "status")) == [
        ("2025-12", "OPEN"),
        ("2026-03", "OPEN"),
    ]


def test_a_closed_month_takes_no_entry(books):
    """Rule 5 (the peer guards settlements only)."""
    close_month()
    with pytest.raises(LedgerPeriodClosed) as refused, transactions.atomic():
        post(funding("e", 5))
    assert (refused.value.status, refused.value.code) == (409, "LEDGER_PERIOD_CLOSED")
    with pytest.raises(LedgerPeriodClosed), transactions.atomic():
        post(funding("open", 5, at=NOW + dt.timedelta(days=30)), general("closed", *TWIN))
    assert counts() == [0, 0, 0]
    assert post(funding("next", 5, at=NOW + dt.timedelta(days=30))).new_entry_ids == {"next"}


def test_what_was_posted_before_the_close_is_still_a_no_op_after_it(books):
    post(funding("e", 5))
    close_month()
    assert post(funding("e", 5)).new_entry_ids == frozenset()
    with pytest.raises(LedgerEntryConflict), transactions.atomic():
        post(funding("e", 6))


def test_a_balance_that_no_number_of_ours_can_hold_is_refused(books):
    post(funding("e", MAX_MINOR))
    Balance.objects.filter(account_id=WALLET_A).update(amount_cents=2**63 - MAX_MINOR)
    with pytest.raises(journal.LedgerBalanceOutOfRange), transactions.atomic():
        post(funding("f", MAX_MINOR))
    assert counts()[0] == 1


def test_a_rule_that_breaks_with_commit_is_told_as_a_refusal(live_books):
    """Whoever adds a line to an entry beside `post` gets the journal's own refusal, not a server error."""
    post(funding("e", 5))
    with pytest.raises(LedgerEntryConflict), transactions.atomic():
        post(funding("f", 5))
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO ledger_posting (tenant_id, entry_id, posting_no, account_id, book, currency,"
                " amount_cents, period, at) VALUES (%s, 'e', 2, %s, 'escrow', 'USD', 5, '2026-03', %s)",
                [TENANT, WALLET_A, NOW],
            )
    assert counts() == [1, 2, 0]


def test_a_month_locked_for_an_effect_may_be_posted_into(books):
    with transactions.atomic():
        months.lock_shared(tenant_id=TENANT, month="2026-03", basis="settledAt", now=NOW)
        assert post(funding("e", 5)).new_entry_ids == {"e"}
