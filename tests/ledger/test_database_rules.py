"""What the database refuses whoever writes: each rule of the journal attacked with plain SQL.

Spec/settld-billing-and-finance.md 5.1 rules 1, 2, 5 and 9; kernel spec 14.
"""

import pytest
from django.db import DatabaseError, connection, connections, transaction

from settld.core import tenancy
from settld.ledger.services import accounts
from settld.ledger.states import Book
from tests.ledger.books import (
    FUNDING,
    NOW,
    TENANT,
    WALLET_A,
    close_month,
    funding,
    general,
    post,
    settle_rules,
)

HASH = "0" * 64


def sql(statement, parameters=()):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def insert(table, **values):
    names = ", ".join(values)
    marks = ", ".join(["%s"] * len(values))
    sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values()))


def entry(entry_id="e", **other):
    insert(
        "ledger_entry",
        **{
            "tenant_id": TENANT, "entry_id": entry_id, "book": "escrow", "period": "2026-03", "at": NOW,
            "memo": "", "source_type": "t", "source_id": "s", "reason": "", "posting_count": 2,
            "share_count": 2 if other.get("book") == "general" else 0, "content_hash": HASH,
            "recorded_at": NOW,
        } | other,
    )  # fmt: skip


def posting(number, account, cents, entry_id="e", **other):
    insert(
        "ledger_posting",
        **{
            "tenant_id": TENANT, "entry_id": entry_id, "posting_no": number, "account_id": account,
            "book": "escrow", "currency": "USD", "amount_cents": cents, "period": "2026-03", "at": NOW,
        } | other,
    )  # fmt: skip


def share(number, account, cents, party="p", entry_id="e", **other):
    insert(
        "ledger_allocation",
        **{
            "tenant_id": TENANT, "entry_id": entry_id, "posting_no": number, "account_id": account,
            "party_id": party, "party_role": "r", "currency": "USD", "amount_cents": cents,
            "period": "2026-03",
        } | other,
    )  # fmt: skip


def outside(number, **other):
    posting(number, FUNDING, -5, **other)


def inside(number, **other):
    posting(number, WALLET_A, 5, **other)


def pair(first=-5, second=5, **other):
    posting(0, FUNDING, first, **other)
    posting(1, WALLET_A, second, **other)


def books_pair(**other):
    posting(0, "acct_cash", 5, book="general", **other)
    posting(1, "acct_customer_escrow", -5, book="general", **other)


@pytest.fixture
def month(books):
    post(funding("before", 7), general("twin", ("acct_cash", 7), ("acct_customer_escrow", -7)))
    settle_rules()


def refused(constraint, attack):
    """Let an attack run to what would be its COMMIT; the database must name the rule that it breaks."""
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        attack()
        settle_rules()
    assert caught.value.__cause__.diag.constraint_name == constraint


def test_a_sound_entry_passes_whatever_the_order_of_its_rows(month):
    entry("whole", book="general")
    books_pair(entry_id="whole")
    share(1, "acct_customer_escrow", -5, entry_id="whole")
    share(0, "acct_cash", 5, entry_id="whole")
    settle_rules()


@pytest.mark.parametrize(
    ("constraint", "attack"),
    [
        ("ledger_entry_balanced", lambda: (entry(), pair(-5, 6))),
        ("ledger_entry_balanced", lambda: (entry(), outside(0, currency="EUR"), inside(1))),
        ("ledger_entry_complete", lambda: entry()),
        ("ledger_entry_complete", lambda: (entry(posting_count=3), pair())),
        ("ledger_entry_complete", lambda: (inside(2, entry_id="before"), outside(3, entry_id="before"))),
        ("ledger_posting_like_its_entry", lambda: (entry(), outside(0, book="general"), inside(1))),
        ("ledger_posting_like_its_entry", lambda: (entry(), books_pair())),
        ("ledger_posting_like_its_entry", lambda: (entry(), pair(period="2026-04"))),
        ("ledger_posting_like_its_entry", lambda: (entry(), pair(at="2026-03-15T12:00:00.001Z"))),
        ("ledger_entry_postings", lambda: entry(posting_count=1)),
        ("ledger_posting_amount", lambda: (entry(), pair(0, 0))),
        ("ledger_posting_amount", lambda: (entry(), pair(-(2**53), 2**53))),
        ("ledger_posting_currency", lambda: (entry(), pair(currency="usd"))),
        ("ledger_posting_entry", lambda: pair(entry_id="nowhere")),
        ("ledger_posting_account", lambda: (entry(), posting(0, "acct_nowhere", 5))),
        ("ledger_entry_once", lambda: entry("before")),
        ("ledger_entry_in_its_period", lambda: entry(period="2026-04")),
        ("ledger_period_known", lambda: entry(period="2030-01", at="2030-01-05T00:00:00Z")),
        ("ledger_posting_allocated", lambda: (entry(book="general", share_count=0), books_pair())),
        (
            "ledger_posting_allocated",
            lambda: (
                entry(book="general"),
                books_pair(),
                share(0, "acct_cash", 4),
                share(1, "acct_customer_escrow", -5),
            ),
        ),
        (
            "ledger_posting_allocated",
            lambda: (
                entry(book="general"),
                books_pair(),
                share(0, "acct_cash", 5, currency="EUR"),
                share(1, "acct_customer_escrow", -5),
            ),
        ),
        ("ledger_posting_allocated", lambda: (entry(share_count=1), pair(), share(0, FUNDING, 5))),
        ("ledger_shares_complete", lambda: share(0, "acct_cash", 1, "another", "twin")),
        (  # they would leave the sum as it was
            "ledger_shares_complete",
            lambda: (share(0, "acct_cash", 2, "x", "twin"), share(0, "acct_cash", -2, "y", "twin")),
        ),
        ("ledger_shares_complete", lambda: (entry(share_count=1), pair())),
        ("ledger_allocation_amount", lambda: share(0, "acct_cash", 0, "another", "twin")),
        (
            "ledger_allocation_once",
            lambda: share(0, "acct_cash", 7, "pty_platform", "twin", party_role="platform"),
        ),
        ("ledger_allocation_posting", lambda: share(9, "acct_cash", 5, "another", "twin")),
        (
            "ledger_account_general_is_spread",
            lambda: insert(
                "ledger_account", tenant_id=TENANT, account_id="acct_x", book="general", is_exact=True,
                display_name="", created_at=NOW,
            ),
        ),
        (
            "ledger_balance_shard",
            lambda: insert(
                "ledger_balance", tenant_id=TENANT, account_id="acct_cash", currency="USD", bucket="",
                shard=16, amount_cents=1,
            ),
        ),
        (
            "ledger_balance_bucket",
            lambda: insert(
                "ledger_balance", tenant_id=TENANT, account_id="acct_cash", currency="USD", bucket="2026",
                shard=1, amount_cents=1,
            ),
        ),
    ],
)  # fmt: skip
def test_the_database_names_the_rule_that_an_attack_breaks(month, constraint, attack):
    refused(constraint, attack)


def test_a_closed_month_takes_no_row_past_the_verb_either(month):
    close_month()
    refused("ledger_period_open", entry)


@pytest.mark.parametrize("table", ["ledger_entry", "ledger_posting", "ledger_allocation", "ledger_account"])
@pytest.mark.parametrize("change", ["UPDATE {} SET tenant_id = 'x'", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_application_has_no_right_to_change_what_is_written(month, table, change):
    """Rule 2: append-only."""
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        sql(change.format(table))


def test_the_owner_meets_a_trigger(live_books):
    """Rule 2: append-only, for whoever has the rights."""
    post(funding("e", 5), general("twin", ("acct_cash", 7), ("acct_customer_escrow", -7)))
    for table in ("ledger_entry", "ledger_posting", "ledger_allocation", "ledger_account"):
        for change in ("UPDATE {} SET tenant_id = 'x'", "DELETE FROM {}", "TRUNCATE {} CASCADE"):
            with connections["owner"].cursor() as cursor, pytest.raises(DatabaseError, match="Cannot"):
                cursor.execute(change.format(table))


def test_balance_rows_are_not_deleted(month):
    with pytest.raises(DatabaseError), transaction.atomic():
        sql("DELETE FROM ledger_balance")


def test_another_tenants_account_cannot_be_posted_on(month):
    with tenancy.tenant_scope("tenant_b"):
        accounts.ensure(tenant_id="tenant_b", accounts=[("acct_b", Book.GENERAL, False)], now=NOW)
    refused(
        "ledger_posting_account", lambda: (entry(book="general"), posting(0, "acct_b", 5, book="general"))
    )


def test_another_tenants_books_can_be_neither_read_nor_written(month):
    with tenancy.tenant_scope("tenant_b"):
        with connection.cursor() as cursor:
            for table in (
                "ledger_entry",
                "ledger_posting",
                "ledger_allocation",
                "ledger_balance",
                "ledger_account",
            ):
                cursor.execute(f"SELECT count(*) FROM {table}")
                assert cursor.fetchone() == (0,)
        with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
            posting(2, WALLET_A, 5, "before")
