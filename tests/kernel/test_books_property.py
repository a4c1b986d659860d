"""Any interleaving of the kernel's money operations leaves wallets and both books in step (kernel spec 4)."""

from collections import Counter, defaultdict

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from settld.core import tenancy, transactions
from settld.kernel.models import Wallet
from settld.kernel.queries import checks
from settld.kernel.services import books, funding, wallets
from settld.kernel.states import FundingSource
from settld.ledger.queries import checks as ledger_checks
from tests.kernel.work import ACTOR, NOW, TENANT, an_agent

CURRENCY = {"agt_a": "USD", "agt_b": "USD", "agt_x": "EUR", "agt_y": "EUR"}
AGENTS = st.sampled_from(sorted(CURRENCY))
# Who pays whom; the last two have no currency in common.
PAIRS = st.sampled_from([
    ("agt_a", "agt_b"), ("agt_b", "agt_a"), ("agt_x", "agt_y"), ("agt_y", "agt_x"), ("agt_a", "agt_x"),
])  # fmt: skip
CENTS = st.integers(1, 1000)
PICK = st.integers(0, 30)
SHARES = st.sampled_from([1, 50, 100, 101])  # percent of what is there: some, all, and a little too much
EXPECTED = (
    books.InsufficientWalletBalance,
    books.InsufficientEscrowBalance,
    wallets.WalletCurrencyMismatch,
)
_SUMS = """
SELECT account.book, balance.account_id, balance.currency, sum(balance.amount_cents)::bigint
FROM ledger_balance AS balance JOIN ledger_account AS account USING (tenant_id, account_id)
WHERE tenant_id = %s AND balance.bucket = '' GROUP BY 1, 2, 3
"""


class Books(RuleBasedStateMachine):
    """Knows beside the database, in plain sums, what wallets and accounts must hold."""

    def __init__(self):
        super().__init__()
        self.available, self.locked, self.reversed = Counter(), Counter(), Counter()
        self.general = defaultdict(Counter)
        self.receipts, self.locks, self.payouts = [], [], []
        self.number = 0
        self.frame = transaction.atomic()
        self.frame.__enter__()

    def teardown(self):
        transaction.set_rollback(True)
        self.frame.__exit__(None, None, None)

    def attempt(self, agents, act):
        """Lock the agents' wallets and act on them; False where it was refused, and then all is undone."""
        self.number += 1
        try:
            with transactions.atomic():
                locked = wallets.lock(
                    tenant_id=TENANT, agent_ids=agents, currency=CURRENCY[agents[0]], now=NOW
                )
                act(*(locked[agent] for agent in agents))
        except EXPECTED:
            return False
        return True

    def book(self, currency, debit, credit, cents):
        self.general[currency][debit] += cents
        self.general[currency][credit] -= cents

    @initialize()
    def fund_all(self):
        for number, agent in enumerate(sorted(CURRENCY)):
            self.fund_one(agent, 100 + number)

    @rule(agent=AGENTS, cents=CENTS)
    def fund(self, agent, cents):
        self.fund_one(agent, cents)

    def fund_one(self, agent, cents):
        done = funding.credit(
            tenant_id=TENANT, agent_id=agent, amount_cents=cents, currency=CURRENCY[agent],
            source_type=FundingSource.TEST_FUNDS, external_ref=None, actor=ACTOR, now=NOW,
        )  # fmt: skip
        self.receipts.append(done.receipt)
        self.available[agent] += cents
        self.book(CURRENCY[agent], "acct_cash", "acct_customer_escrow", cents)

    @rule(pair=PAIRS, share=SHARES)
    def lock(self, pair, share):
        payer, payee = pair
        cents = part(self.available[payer], share)

        def act(source, _):
            books.lock_escrow(
                payer=source, policy=None, amount_cents=cents, subject=f"run_{self.number}",
                source_type="test", source_id="test", now=NOW,
            )  # fmt: skip

        could = self.available[payer] >= cents and CURRENCY[payer] == CURRENCY[payee]
        assert self.attempt([payer, payee], act) == could
        if could:
            self.locks.append((f"run_{self.number}", payer, payee, cents))
            self.available[payer] -= cents
            self.locked[payer] += cents

    @precondition(lambda self: self.locks)
    @rule(pick=PICK, rate=st.sampled_from([0, 1, 50, 99, 100]))
    def settle(self, pick, rate):
        run_id, payer, payee, cents = self.locks.pop(pick % len(self.locks))
        released = cents * rate // 100

        def act(source, target):
            books.settle(
                payer=source, payee=target, released_cents=released, refunded_cents=cents - released,
                subject=f"{run_id}_evt", run_id=run_id, source_type="test", source_id="test", now=NOW,
            )  # fmt: skip

        assert self.attempt([payer, payee], act), "what is locked can always be settled"
        self.locked[payer] -= cents
        self.available[payer] += cents - released
        self.available[payee] += released
        self.book(CURRENCY[payer], "acct_customer_escrow", "acct_operator_payable", released)

    @rule(pair=PAIRS, extra=CENTS)
    def release_more_than_is_locked(self, pair, extra):
        payer, payee = pair

        def act(source, target):
            books.release(
                payer=source, payee=target, amount_cents=self.locked[payer] + extra, subject="too_much",
                run_id=None, source_type="test", source_id="test", now=NOW,
            )  # fmt: skip

        assert not self.attempt([payer, payee], act)

    @rule(pair=PAIRS, share=SHARES, is_to_payer=st.booleans())
    def transfer(self, pair, share, is_to_payer):
        payer, payee = pair
        cents = part(self.available[payee if is_to_payer else payer], share)

        def act(one, other):
            books.transfer(
                payer=one, payee=other, amount_cents=cents, is_to_payer=is_to_payer,
                adjustment_id=f"sadj_{self.number}", run_id=None, now=NOW,
            )  # fmt: skip

        giver, taker = (payee, payer) if is_to_payer else (payer, payee)
        could = self.available[giver] >= cents and CURRENCY[payer] == CURRENCY[payee]
        assert self.attempt([payer, payee], act) == could
        if could:
            self.available[giver] -= cents
            self.available[taker] += cents
            sides = ("acct_operator_payable", "acct_customer_escrow")
            self.book(CURRENCY[payer], *(sides if is_to_payer else sides[::-1]), cents)

    @rule(agent=AGENTS, share=SHARES, withheld=st.sampled_from([0, 30, 100]))
    def reserve(self, agent, share, withheld):
        gross = part(self.available[agent], share)
        recovery = gross * withheld // 100
        cents = gross - recovery

        def act(payee):
            books.reserve(
                payee=payee, amount_cents=cents, recovery_cents=recovery,
                operation_id=f"mop_{self.number}", now=NOW,
            )  # fmt: skip

        could = self.available[agent] >= cents + recovery
        assert self.attempt([agent], act) == could
        if could:
            self.payouts.append((f"mop_{self.number}", agent, cents, recovery, False))
            self.available[agent] -= cents + recovery
            self.book(CURRENCY[agent], "acct_payout_clearing", "acct_chargeback_recovery", recovery)

    @rule(agent=AGENTS, cents=CENTS)
    def withhold_and_give_back(self, agent, cents):
        def act(payee):
            named = {"payee": payee, "amount_cents": cents, "operation_id": f"mop_{self.number}", "now": NOW}
            books.withhold(**named)
            books.give_back_withheld(**named)

        assert self.attempt([agent], act) == (self.available[agent] >= cents)

    @precondition(lambda self: self.payouts)
    @rule(pick=PICK, comes_back=st.booleans())
    def payout_goes_on(self, pick, comes_back):
        operation_id, agent, cents, recovery, is_committed = self.payouts.pop(pick % len(self.payouts))
        if not (comes_back or is_committed) and cents:
            books.commit_payout(
                tenant_id=TENANT, agent_id=agent, amount_cents=cents, currency=CURRENCY[agent],
                operation_id=operation_id, now=NOW,
            )  # fmt: skip
            self.payouts.append((operation_id, agent, cents, recovery, True))
            self.book(CURRENCY[agent], "acct_payout_clearing", "acct_cash", cents)
            return
        verb = books.return_payout if is_committed else books.give_back

        def act(payee):
            verb(payee=payee, amount_cents=cents, recovery_cents=recovery, operation_id=operation_id, now=NOW)

        assert self.attempt([agent], act), "what was taken can always be put back"
        self.available[agent] += cents + recovery
        self.book(CURRENCY[agent], "acct_chargeback_recovery", "acct_payout_clearing", recovery)
        if is_committed:
            self.book(CURRENCY[agent], "acct_cash", "acct_payout_clearing", cents)

    @rule(pick=PICK, share=SHARES)
    def reverse_funding(self, pick, share):
        receipt = self.receipts[pick % len(self.receipts)]
        self.number += 1
        left = receipt.amount_cents - self.reversed[receipt.receipt_id]
        cents = part(left, share)
        event = {"provider_event_id": f"evt_{self.number}", "actor": ACTOR, "now": NOW}
        try:
            with transactions.atomic():
                made = funding.reverse(
                    tenant_id=TENANT, receipt_id=receipt.receipt_id, amount_cents=cents, **event
                )
        except funding.FundingReversalExceedsReceipt:
            assert cents > left
            return
        moved = min(self.available[receipt.agent_id], cents)
        assert (made.amount_cents, made.shortfall_cents) == (moved, cents - moved)
        self.reversed[receipt.receipt_id] += cents
        self.available[receipt.agent_id] -= moved
        self.book(receipt.currency, "acct_customer_escrow", "acct_cash", moved)

    @invariant()
    def wallets_are_what_was_done_to_them(self):
        for wallet in Wallet.objects.all():
            kept = (self.available[wallet.agent_id], self.locked[wallet.agent_id])
            assert (wallet.available_cents, wallet.escrow_locked_cents) == kept
            assert min(kept) >= 0
        locks = Counter()
        for _, payer, _, cents in self.locks:
            locks[payer] += cents
        assert +self.locked == +locks

    @invariant()
    def both_books_say_the_same(self):
        assert checks.wallets_unlike_ledger(tenant_id=TENANT) == []
        sums, general = Counter(), defaultdict(Counter)
        with connection.cursor() as cursor:
            cursor.execute(_SUMS, [TENANT])
            for book, account, currency, cents in cursor.fetchall():
                sums[book, currency] += cents
                if book == "general":
                    general[currency][account] = cents
            for broken in (ledger_checks.BALANCES_DIFFER, ledger_checks.SHARES_DIFFER):
                cursor.execute(broken, {"tenant_id": TENANT})
                assert cursor.fetchall() == []
        assert not any(sums.values())
        assert nonzero(general) == nonzero(self.general)


def part(cents, percent):
    """Take a share, rounded up, of at least one cent."""
    return max(1, -(-cents * percent // 100))


def nonzero(books):
    return {
        (currency, account): cents
        for currency, accounts in books.items()
        for account, cents in accounts.items()
        if cents
    }


@pytest.fixture
def agents(db):
    """Agents with empty wallets, each in its currency."""
    for agent_id, currency in CURRENCY.items():
        an_agent(agent_id)
        with tenancy.tenant_scope(TENANT):
            wallets.lock(tenant_id=TENANT, agent_ids=[agent_id], currency=currency, now=NOW)


def test_wallets_and_books_stay_in_step_whatever_happens_in_whatever_order(agents):
    with tenancy.tenant_scope(TENANT):
        run_state_machine_as_test(
            Books,
            settings=settings(
                max_examples=20, stateful_step_count=40, deadline=None, derandomize=True, database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip
