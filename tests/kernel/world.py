"""Tenants, agents and two months under a seed, and beside the product a plain model of what must come of it.

The model knows the specifications and no table: what each party has earned in each month, what each wallet
holds, what each statement must say, what a payout takes and what comes back. After every step the product
must say the same, and the SQL checks over everything must find nothing.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, connection

from moneyrails.models import PartyBalance
from settld.closing.models import PartyStatement
from settld.kernel.models import Wallet
from settld.ledger import queries as ledger
from tests.kernel.world_books import GONE, Books, Stated
from tests.kernel.world_payouts import Payouts
from tests.kernel.world_stage import LAST, MONTHS, PAYEES, PAYERS
from tests.support import whole


class World(Payouts):
    """Everything that is drawn and done, and what must be true of it."""

    def __init__(self, seed: int, *, tenants: int = 2) -> None:
        super().__init__(seed, tenants=tenants)
        for books in self.all_books:
            for payer in PAYERS:
                self.fund(books, payer, 3_000)

    WEIGHTS = {
        "step_time": 5, "step_fund": 2, "step_take_funding_back": 2, "step_run": 11, "step_end": 16,
        "step_resolve": 8, "step_hold": 3, "step_sweep": 3, "step_dispute": 5, "step_settle_dispute": 3,
        "step_by_hand": 4, "step_close": 12, "step_reopen": 6, "step_pay": 20, "step_tell": 24,
    }  # fmt: skip

    def tell_story(self, books: Books) -> None:
        """What chance seldom brings together: a debt that a failed payout repays, a restated month."""
        march, april, payee = MONTHS[0], MONTHS[1], PAYEES[0]
        acts: list[Callable[[], Any]] = [
            lambda: self.open(books, PAYERS[0], payee, 400, 0),
            lambda: self.end(books, books.jobs[-1], None),
            lambda: self.wait(books, 24 * 5),
            lambda: self.close(books, march),
            lambda: self.pay(books, payee, march),
            lambda: self.tell(books, books.payouts[-1], "submitted"),
            lambda: self.tell(books, books.payouts[-1], "confirmed"),
            lambda: self.tell(books, books.payouts[-1], "reversed"),
            lambda: self.open(books, PAYERS[1], payee, 900, 1),
            lambda: self.end(books, books.jobs[-1], None),
            lambda: self.dispute(books, books.jobs[-1]),
            lambda: self.wait(books, 24 * 2),
            lambda: self.close(books, april),
            lambda: self.pay(books, payee, april),  # refused: the dispute is open
            lambda: self.settle_dispute(books, books.jobs[-1]),
            lambda: self.pay(books, payee, april),
            lambda: self.tell(books, books.payouts[-1], "failed"),
            lambda: self.reopen(books, april),
            lambda: self.open(books, PAYERS[1], payee, 100, by_hand=True),
            lambda: self.end(books, books.jobs[-1], 37),
            lambda: self.resolve(books, books.jobs[-1], 60),
            lambda: self.close(books, april),
            lambda: self.pay(books, payee, april),
            lambda: self.tell(books, books.payouts[-1], "submitted"),
            lambda: self.reopen(books, april),
            lambda: self.open(books, PAYERS[0], payee, 50, 0),
            lambda: self.end(books, books.jobs[-1], None),
            lambda: self.close(books, april),  # paid already: the 50 are carried
            lambda: self.reopen(books, march),
            lambda: self.pay(books, payee, march),  # refused: it is open
            lambda: self.close(books, march),
        ]
        for act in acts:
            self.checked(books, act)

    def run(self, steps: int) -> None:
        self.tell_story(self.all_books[0])
        names, weights = zip(*self.WEIGHTS.items(), strict=True)
        steps += len(self.log)
        while len(self.log) < steps:  # a step for which there is nothing to do is none
            self.step(self.random.choices(names, weights)[0], self.random.choice(self.all_books))
        self.come_to_rest()

    def step(self, name: str, books: Books) -> None:
        self.checked(books, lambda: getattr(self, name)(books))

    def checked(self, books: Books, act: Callable[[], Any]) -> None:
        done = len(self.log)
        try:
            act()
            if len(self.log) > done:
                self.check(books)
        except DatabaseError as error:
            raise self.wrong(f"the database says {error}") from error

    # --- What must hold -------------------------------------------------------------------------------
    def check(self, books: Books) -> None:
        with self.scope(books):
            connection.check_constraints()
            broken = whole.breaches(tenant_id=books.tenant_id, now=self.now, is_quick=self.is_quick)
            if broken:
                raise self.wrong(f"breaks {broken}")
            wallets = {
                row.agent_id: (row.available_cents, row.escrow_locked_cents) for row in Wallet.objects.all()
            }
            debts = dict(PartyBalance.objects.values_list("party_id", "outstanding_cents"))
            cash = ledger.balance(tenant_id=books.tenant_id, account_id="acct_cash", currency="USD")
            rows = PartyStatement.objects.filter(superseded_at__isnull=True, party_role="operator")
            stated = {
                (row.party_id.removeprefix("pty_operator:"), row.period): row
                for row in rows.defer("references")
            }
        for agent in (*PAYERS, *PAYEES):
            kept = (books.available[agent], books.locked[agent])
            if wallets.get(agent, (0, 0)) != kept:
                raise self.wrong(f"{agent} has {wallets.get(agent)}, not {kept}")
            if debts.get(f"pty_operator:{agent}", 0) != books.debt[agent]:
                raise self.wrong(f"{agent} owes {debts}, not {books.debt[agent]}")
        if cash != books.cash:
            raise self.wrong(f"there is {cash} in cash, not {books.cash}")
        if stated.keys() != books.stated.keys():
            raise self.wrong(f"statements of {sorted(stated)}, not of {sorted(books.stated)}")
        for key, own in books.stated.items():
            row = stated[key]
            self.compare(*key, row, own)
            if (row.status == "CLOSED") != own.is_closed or row.generation != own.generation:
                raise self.wrong(f"{key} is {row.status} {row.generation}, not {own}")
            if own.is_closed and self.still_payable(books, *key) < 0:
                raise self.wrong(f"{key} was paid more than it states: {own}")

    def compare(self, payee: str, month: str, row: PartyStatement, own: Stated) -> None:
        says = (row.period_payout_cents, row.payable_carry_in_cents, row.payout_cents)
        if says != (own.period, own.carry_in, own.payout) or row.payable_carry_out_cents != own.carry_out:
            raise self.wrong(f"{payee} {month} says {says} and {row.payable_carry_out_cents}, not {own}")

    @staticmethod
    def still_payable(books: Books, payee: str, month: str) -> int:
        """What a closed statement says is due and no live payout has paid."""
        row = books.stated[payee, month]
        return row.period + row.carry_in - row.carry_out - (books.paid(payee, month) or 0)

    def come_to_rest(self) -> None:
        """Decide, close and pay everything: what was earned was paid, or stands open as what was overpaid."""
        self.now = dt.datetime(2026, 6, 20, tzinfo=dt.UTC)
        self.is_quick = False
        for books in self.all_books:
            for job in books.jobs:
                if job.is_disputed:
                    self.settle_dispute(books, job)
                if job.state == "open":
                    self.end(books, job, None)
                if job.state == "waiting":
                    self.resolve(books, job, job.cents // 2)
            self.step("step_sweep", books)
            for payout in books.payouts:
                for target in ("submitted", "confirmed"):
                    if payout.state in ("initiated", "submitted") and payout.state != target:
                        self.tell(books, payout, target)
            for payee in PAYEES:  # entries by hand owe money that no wallet was given
                self.fund(books, payee, 50_000)
        self.now = dt.datetime(2026, 7, 20, tzinfo=dt.UTC)  # no window is open any more
        for books in self.all_books:
            self.close_and_pay(books)
            self.explain(books)

    def close_and_pay(self, books: Books) -> None:
        for month in (*MONTHS, LAST):
            lost = [payee for payee in PAYEES if self.must_restate(books, payee, month)]
            if lost and month in books.closed:
                self.reopen(books, month)
            if month not in books.closed:
                self.close(books, month)
            for payee in PAYEES:
                row = books.stated.get((payee, month))
                if row is not None and row.payout > 0 and not row.is_used:
                    self.pay(books, payee, month)
            self.check(books)
        for payout in books.payouts:
            for target in ("submitted", "confirmed"):
                if payout.state in ("initiated", "submitted") and payout.state != target:
                    self.tell(books, payout, target)
        self.check(books)

    def must_restate(self, books: Books, payee: str, month: str) -> bool:
        """Its payout came to nothing: only another generation pays what is due."""
        row = books.stated.get((payee, month))
        if row is None or not row.is_closed:
            return False
        return self.still_payable(books, payee, month) > 0 and (row.is_used or row.payout <= 0)

    def explain(self, books: Books) -> None:
        """Per party: what it earned = confirmed + withheld + carried + still payable, to the cent."""
        for payee in PAYEES:
            own = [one for one in books.payouts if one.payee == payee and one.state not in GONE]
            confirmed = sum(one.net for one in own)
            withheld = sum(one.recovery for one in own)
            rows = {key: row for key, row in books.stated.items() if key[0] == payee}
            carried = sum(row.carry_out - row.carry_in for row in rows.values())
            payable = sum(self.still_payable(books, *key) for key in rows)
            earned = sum(cents for (whose, _), cents in books.earned.items() if whose == payee)
            if earned != confirmed + withheld + carried + payable:
                raise self.wrong(f"{payee}: {earned} is not {confirmed} + {withheld} + {carried} + {payable}")
            if payable or carried > 0:
                raise self.wrong(f"{payee} is still owed {payable} and {carried}, all closed and paid")
            returned = sum(one.gross for one in own if one.state == "reversed")
            spare = sum(left for _, agent, left in books.funded if agent == payee)
            if carried == 0 and not returned and books.available[payee] > spare + books.gains[payee]:
                raise self.wrong(f"{payee} has {books.available[payee]} that nothing explains")
