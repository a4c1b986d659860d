"""Posting from several connections at once: spec/settld-billing-and-finance.md 5.1 rules 3, 4 and 5."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

THREADS = 8
EACH = 25


def together(*acts):
    """Run acts at once, each on a connection of its own; gives what each returned or was refused with."""
    from django.db import connections

    from settld.core import tenancy
    from settld.core.errors import Refusal

    gate = threading.Barrier(len(acts))

    def run(act):
        try:
            with tenancy.tenant_scope("tenant_a"):
                gate.wait(10)
                return act()
        except Refusal as refusal:
            return refusal.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result(60) for future in [pool.submit(run, act) for act in acts]]


def await_waiter():
    """Wait until another connection stands in line for a lock, so that what follows meets it there."""
    from django.db import connection

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()"
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.005)
    raise AssertionError("nobody waited")


def test_hot_accounts_take_postings_in_any_order_without_deadlock_and_sum_up_exactly(live_books):
    """Rule 4: balances are touched in account order, whatever the order of lines and entries."""
    from settld.ledger import queries
    from tests.ledger.books import FUNDING, WALLET_A, WALLET_B, all_faults, escrow, general, post

    def poster(thread):
        def act():
            for number in range(EACH):
                name = f"{thread}_{number}"
                entries = [
                    escrow(f"in_{name}", (FUNDING, -30), (WALLET_A, 10), (WALLET_B, 20)),
                    escrow(f"over_{name}", (WALLET_B, -1), (WALLET_A, 1)),
                    general(f"jnl_{name}", ("acct_cash", 30), ("acct_customer_escrow", -30)),
                ]
                if thread % 2:
                    entries = entries[::-1]
                    entries[2] = escrow(f"in_{name}", (WALLET_B, 20), (WALLET_A, 10), (FUNDING, -30))
                post(*entries)
            return "done"

        return act

    assert together(*(poster(thread) for thread in range(THREADS))) == ["done"] * THREADS
    turns = THREADS * EACH
    expected = {
        "acct_cash": 30 * turns,
        "acct_customer_escrow": -30 * turns,
        FUNDING: -30 * turns,
        WALLET_A: 11 * turns,
        WALLET_B: 19 * turns,
    }
    found = queries.balances(tenant_id="tenant_a", limit=50)
    assert {row.account_id: row.amount_cents for row in found} == expected
    assert not all_faults()


def test_each_poster_on_an_exact_account_sees_a_balance_of_its_own(live_books):
    """The new total comes from under the row's lock, so no two effects ever see the same one."""
    from tests.ledger.books import WALLET_A, funding, post

    def poster(thread):
        return lambda: [post(funding(f"{thread}_{n}", 1)).balances[WALLET_A, "USD"] for n in range(EACH)]

    seen = [cents for part in together(*(poster(thread) for thread in range(4))) for cents in part]
    assert sorted(seen) == list(range(1, 4 * EACH + 1))


def test_one_entry_from_two_connections_is_posted_once(live_books):
    """Rule 3: the loser waits for the winner at the entry's index and then finds it standing."""
    from settld.core import transactions
    from tests.ledger.books import WALLET_A, all_faults, funding, post

    posted = threading.Event()

    def winner():
        with transactions.atomic():
            first = post(funding("e", 5))
            posted.set()
            await_waiter()
        return first.new_entry_ids

    def loser():
        posted.wait(10)
        again = post(funding("e", 5), funding("mine", 2))
        return again.new_entry_ids, again.balances[WALLET_A, "USD"]

    assert together(winner, loser) == [{"e"}, ({"mine"}, 7)]
    assert not all_faults()


def test_the_loser_with_other_content_is_refused_and_the_loser_to_an_undone_entry_posts(live_books):
    from settld.core import transactions
    from settld.core.errors import Conflict
    from settld.ledger.models import JournalEntry
    from tests.ledger.books import all_faults, funding, post

    for number, (is_undone, expected) in enumerate([(False, "LEDGER_ENTRY_CONFLICT"), (True, {"e1"})]):
        posted = threading.Event()

        def winner(number=number, is_undone=is_undone, posted=posted):
            with transactions.atomic():
                post(funding(f"e{number}", 5))
                posted.set()
                await_waiter()
                if is_undone:
                    raise Conflict("undone")

        def loser(number=number, posted=posted):
            posted.wait(10)
            return post(funding(f"e{number}", 6)).new_entry_ids

        assert together(winner, loser)[1] == expected
    assert JournalEntry.objects.count() == 2
    assert not all_faults()


def test_a_close_waits_for_a_posting_and_then_sees_it(live_books):
    """Rule 5: posting locks the month shared, closing exclusively (the peer reads it racily)."""
    from settld.core import transactions
    from settld.ledger.models import JournalEntry
    from settld.ledger.services import months
    from tests.ledger.books import NOW, close_month, funding, post

    post(funding("before", 1))
    posted = threading.Event()

    def poster():
        with transactions.atomic():
            post(funding("e", 5))
            posted.set()
            await_waiter()
        return "posted"

    def closer():
        posted.wait(10)
        with transactions.atomic():
            months.lock_exclusively(tenant_id="tenant_a", month="2026-03", basis="settledAt", now=NOW)
            seen = JournalEntry.objects.filter(period="2026-03").count()
            close_month()
        return seen

    assert together(poster, closer) == ["posted", 2]


def test_a_posting_that_waits_for_a_close_is_refused_by_it(live_books):
    from settld.core import transactions
    from settld.ledger.models import JournalEntry
    from settld.ledger.services import months
    from tests.ledger.books import NOW, close_month, funding, post

    post(funding("before", 1))
    locked = threading.Event()

    def closer():
        with transactions.atomic():
            months.lock_exclusively(tenant_id="tenant_a", month="2026-03", basis="settledAt", now=NOW)
            locked.set()
            await_waiter()
            seen = JournalEntry.objects.filter(period="2026-03").count()
            close_month()
        return seen

    def poster():
        locked.wait(10)
        return post(funding("e", 5))

    assert together(closer, poster) == [1, "LEDGER_PERIOD_CLOSED"]
    assert JournalEntry.objects.count() == 1


def test_posters_that_race_with_a_close_are_all_inside_it_or_all_refused(live_books):
    from settld.core import transactions
    from settld.ledger.models import JournalEntry
    from settld.ledger.services import months
    from tests.ledger.books import NOW, all_faults, close_month, funding, post

    def poster(thread):
        return lambda: [post(funding(f"{thread}_{n}", 1)) and n for n in range(200)]

    def closer():
        deadline = time.monotonic() + 10
        while JournalEntry.objects.count() < 20 and time.monotonic() < deadline:
            pass
        with transactions.atomic():
            months.lock_exclusively(tenant_id="tenant_a", month="2026-03", basis="settledAt", now=NOW)
            seen = JournalEntry.objects.filter(period="2026-03").count()
            close_month()
        return seen

    seen, *ends = together(closer, *(poster(thread) for thread in range(3)))
    assert set(ends) == {"LEDGER_PERIOD_CLOSED"}
    assert seen == JournalEntry.objects.count() >= 20
    assert not all_faults()


def test_accounts_made_by_two_connections_at_once_are_made_once(live_db):
    from settld.core import tenancy
    from settld.ledger.models import LedgerAccount
    from settld.ledger.states import GENERAL_ACCOUNTS
    from tests.ledger.books import open_accounts

    assert together(*[open_accounts] * 4) == [None] * 4
    with tenancy.tenant_scope("tenant_a"):
        assert LedgerAccount.objects.count() == len(GENERAL_ACCOUNTS) + 3


def test_a_first_posting_into_a_month_from_two_connections_makes_one_row(live_books):
    from settld.ledger.models import MonthClose
    from tests.ledger.books import funding, post

    together(*[lambda n=n: post(funding(f"e{n}", 1)) for n in range(4)])
    assert MonthClose.objects.count() == 1
