"""Tenants, agents and two months under a seed, and beside the product a plain model of what must come of it.

The model knows the specifications and no table: what each party has earned in each month, what each wallet
holds, what each statement must say, what a payout takes and what comes back. After every step the product
must say the same, and the SQL checks over everything must find nothing.
"""

import datetime as dt
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connection

from moneyrails.models import PartyBalance
from moneyrails.services import cancellation, controls, enqueue, events
from moneyrails.services.facts import Fact
from settld.closing.models import PartyStatement
from settld.closing.services import close, months
from settld.core import clock, tenancy, transactions
from settld.core.errors import Refusal
from settld.kernel.models import Wallet
from settld.kernel.services import (
    dispute_closing,
    disputes,
    funding,
    holdback_release,
    holds,
    resolving,
    run_events,
    runs,
)
from settld.kernel.services.agents import NewAgent, register
from settld.kernel.services.resolution import Asked
from settld.kernel.states import FundingSource
from settld.ledger import queries as ledger
from settld.ledger.drafts import Line
from settld.ledger.services import manual_entries
from settld.ledger.services.manual_entries import ManualEntry, ManualShare
from tests.kernel.work import ACTOR, PEM
from tests.kernel.world_books import GONE, Books, Held, Job, Payout, Stated
from tests.support import whole

START = dt.datetime(2026, 3, 28, 9, tzinfo=dt.UTC)
MONTHS = ("2026-03", "2026-04", "2026-05")  # two to work in, and one in which all comes to rest
LAST = "2026-06"
PAYERS, PAYEES = ("agt_shop", "agt_bakery"), ("agt_ada", "agt_bert")
BASIS = "settledAt"


class Found(AssertionError):
    """The product and the model differ; says where, and what was done before."""


class World:
    """Everything that is drawn and done; `log` is what a failure prints."""

    def __init__(self, seed: int, *, tenants: int = 2) -> None:
        self.seed, self.random = seed, random.Random(seed)
        self.now = START
        self.log: list[str] = []
        self.number = 0
        self.done: Counter[str] = Counter()
        self.is_quick = True
        self.all_books = [Books(f"tenant_{letter}") for letter in "abc"[:tenants]]
        for books in self.all_books:
            with self.scope(books):
                for agent in (*PAYERS, *PAYEES):
                    new = NewAgent(public_key_pem=PEM, agent_id=agent)
                    register(tenant_id=books.tenant_id, new=new, actor=ACTOR, now=self.now)
                controls.replace(
                    tenant_id=books.tenant_id, now=self.now,
                    payload={"chargebacks": {"enabled": True, "negativeBalanceMode": "net"}},
                )  # fmt: skip
            for payer in PAYERS:
                self.fund(books, payer, 3_000)

    # --- Manners --------------------------------------------------------------------------------------
    @contextmanager
    def scope(self, books: Books) -> Iterator[None]:
        with tenancy.tenant_scope(books.tenant_id):
            yield

    def draw(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def attempt(self, books: Books, act: Callable[[], Any], *, may: bool) -> Any:
        """Do something that the model says may or may not be done."""
        self.number += 1
        try:
            with self.scope(books), transactions.atomic():
                made = act()
        except Refusal as refusal:
            self.log[-1] += f" -> {refusal.code}"
            if may:
                raise self.wrong(
                    f"was refused: {refusal.code} {refusal.message} {refusal.details}"
                ) from refusal
            return None
        if not may:
            raise self.wrong("was not refused")
        return made

    def wrong(self, what: str) -> Found:
        told = "\n".join(self.log[-60:])
        return Found(f"{what}\nseed {self.seed}, step {len(self.log)}:\n{told}")

    def note(self, books: Books, *words: Any) -> None:
        self.done[str(words[0])] += 1
        self.log.append(f"{self.now:%m-%d %H:%M} {books.tenant_id} " + " ".join(map(str, words)))

    def is_open(self, books: Books) -> bool:
        return clock.period_of(self.now) not in books.closed

    # --- Steps ----------------------------------------------------------------------------------------
    WEIGHTS = {
        "step_time": 5, "step_fund": 2, "step_take_funding_back": 2, "step_run": 11, "step_end": 16,
        "step_resolve": 8, "step_hold": 3, "step_sweep": 3, "step_dispute": 5, "step_settle_dispute": 3,
        "step_by_hand": 4, "step_close": 12, "step_reopen": 6, "step_pay": 20, "step_tell": 24,
    }  # fmt: skip

    FATES = {
        "initiated": ["submitted", "submitted", "submitted", "submitted", "failed", "cancelled"],
        "submitted": ["confirmed", "confirmed", "confirmed", "confirmed", "failed", "cancelled"],
        "confirmed": ["reversed", ""],
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

    def step_time(self, books: Books) -> None:
        self.wait(books, self.random.choice([5, 24, 48, 24 * 5, 24 * 9]))

    def wait(self, books: Books, hours: int) -> None:
        self.now = min(self.now + dt.timedelta(hours=hours), dt.datetime(2026, 5, 12, tzinfo=dt.UTC))
        self.note(books, "time")

    def step_fund(self, books: Books) -> None:
        agent = self.random.choice([*PAYERS, *PAYERS, *PAYEES])
        self.fund(books, agent, self.random.randint(1, 2_000))

    def fund(self, books: Books, agent: str, cents: int) -> None:
        self.note(books, "fund", agent, cents)
        credited = self.attempt(
            books,
            lambda: funding.credit(
                tenant_id=books.tenant_id, agent_id=agent, amount_cents=cents, currency="USD",
                source_type=FundingSource.TEST_FUNDS, external_ref=None, actor=ACTOR, now=self.now,
            ),
            may=self.is_open(books),
        )  # fmt: skip
        if credited:
            books.available[agent] += cents
            books.cash += cents
            books.funded.append([credited.receipt.receipt_id, agent, cents])

    def step_take_funding_back(self, books: Books) -> None:
        receipt = self.random.choice(books.funded)
        receipt_id, agent, left = receipt
        cents = self.random.randint(1, max(1, left // 2) + 1)
        moved = min(cents, books.available[agent])
        self.note(books, "take back", agent, cents)
        made = self.attempt(
            books,
            lambda: funding.reverse(
                tenant_id=books.tenant_id, receipt_id=receipt_id, provider_event_id=f"evt_{self.number}",
                amount_cents=cents, actor=ACTOR, now=self.now,
            ),
            may=cents <= left and (self.is_open(books) or not moved),
        )  # fmt: skip
        if made:
            if (made.amount_cents, made.shortfall_cents) != (moved, cents - moved):
                raise self.wrong(f"took {made.amount_cents}, not {moved}")
            receipt[2] -= cents
            books.available[agent] -= moved
            books.cash -= moved

    def step_run(self, books: Books) -> None:
        payer, payee = self.random.choice(PAYERS), self.random.choice(PAYEES)
        cents, days = self.random.randint(1, 900), self.random.choice([0, 0, 0, 0, 1, 5])
        self.open(books, payer, payee, cents, days, by_hand=self.draw(30))

    def open(
        self, books: Books, payer: str, payee: str, cents: int, days: int = 0, *, by_hand: bool = False
    ) -> None:
        run_id = f"{'deal' if by_hand else 'run'}_{self.number}"
        self.note(books, "run", run_id, payer, payee, cents, f"{days} days")
        terms = runs.SettlementTerms(
            payer_agent_id=payer, amount_cents=cents, dispute_window_days=days,
            agreement_id="agr_rfq_1_bid_1" if by_hand else None,
        )  # fmt: skip
        opened = self.attempt(
            books,
            lambda: runs.open_run(
                tenant_id=books.tenant_id, agent_id=payee, run_id=run_id, terms=terms, now=self.now,
                phase="agreement.accepted" if by_hand else "run.created",
            ),
            may=self.is_open(books) and books.available[payer] >= cents,
        )  # fmt: skip
        if opened:
            books.available[payer] -= cents
            books.locked[payer] += cents
            head = opened.event["chainHash"]
            books.jobs.append(Job(run_id, payer, payee, cents, days, head, by_hand))

    def step_end(self, books: Books) -> None:
        if job := self.some(books.jobs, lambda job: job.state == "open"):
            self.end(books, job, self.random.choice(["fail", None, None, 100, 99, 37, 1, 0]))

    def end(self, books: Books, job: Job, how: Any) -> None:
        rate = {"fail": 0, None: 100}.get(how, how)
        is_automatic = not job.by_hand or rate == 100
        self.note(books, "end", job.run_id, how)
        payload = {} if how in ("fail", None) else {"metrics": {"settlementReleaseRatePct": rate}}
        ended = self.attempt(
            books,
            lambda: run_events.append(
                tenant_id=books.tenant_id, agent_id=job.payee, run_id=job.run_id, payload=payload,
                event_type="RUN_FAILED" if how == "fail" else "RUN_COMPLETED",
                expected_prev_chain_hash=job.head, now=self.now,
            ),
            may=self.is_open(books) or not is_automatic,
        )  # fmt: skip
        if ended and is_automatic:
            self.settled(books, job, job.cents * rate // 100)
        elif ended:
            job.state = "waiting"

    def settled(self, books: Books, job: Job, released: int) -> None:
        books.locked[job.payer] -= job.cents
        books.available[job.payer] += job.cents - released
        books.available[job.payee] += released
        job.state, job.released, job.month = "resolved", released, clock.period_of(self.now)
        books.earn(job.payee, job.month, released)
        if job.days:
            job.window_ends_at = self.now + dt.timedelta(days=job.days)

    def step_resolve(self, books: Books) -> None:
        if job := self.some(books.jobs, lambda job: job.state == "waiting"):
            self.resolve(books, job, self.random.randint(0, job.cents))

    def resolve(self, books: Books, job: Job, released: int) -> None:
        self.note(books, "resolve", job.run_id, released)
        done = self.attempt(
            books,
            lambda: resolving.resolve(
                tenant_id=books.tenant_id, run_id=job.run_id, actor=ACTOR, now=self.now,
                asked=Asked(status="released", released_cents=released),
            ),
            may=self.is_open(books),
        )  # fmt: skip
        if done:
            self.settled(books, job, released)

    def step_hold(self, books: Books) -> None:
        payer, payee = self.random.choice(PAYERS), self.random.choice(PAYEES)
        amount, bps = self.random.randint(10, 3_000), self.random.choice([500, 1_000, 3_333])
        hours = self.random.choice([1, 1, 24])
        held = amount * bps // 10_000
        self.note(books, "hold", payer, payee, held, f"{hours} h")
        terms = holds.HoldTerms(
            agreement_hash=f"{self.number:064x}", receipt_hash=f"{self.number:064x}", payer_agent_id=payer,
            payee_agent_id=payee, amount_cents=amount, currency="USD", holdback_bps=bps,
            challenge_window_ms=hours * 3_600_000,
        )  # fmt: skip
        made = self.attempt(
            books,
            lambda: holds.lock(tenant_id=books.tenant_id, terms=terms, actor=ACTOR, now=self.now),
            may=(self.is_open(books) or not held) and books.available[payer] >= held,
        )
        if made:
            books.available[payer] -= held
            books.locked[payer] += held
            ends_at = self.now + dt.timedelta(hours=hours)
            books.held.append(Held(made.hold_hash, payer, payee, held, self.now, ends_at))

    def step_sweep(self, books: Books) -> None:
        due = [hold for hold in books.held if self.now > hold.ends_at]
        if not due and self.draw(80):
            return
        goes = [hold for hold in due if self.is_open(books) or not hold.cents]
        self.note(books, "sweep", len(goes))
        done = holdback_release.Round(is_dry_run=False)
        with self.scope(books):
            holdback_release.release_due(
                done, tenant_id=books.tenant_id, limit=100, actor=ACTOR, now=self.now
            )
        if (done.attempted, done.released) != (len(due), len(goes)):
            raise self.wrong(f"released {done.released} of {done.attempted}, not {len(goes)} of {len(due)}")
        for hold in goes:
            books.held.remove(hold)
            books.locked[hold.payer] -= hold.cents
            books.available[hold.payee] += hold.cents
            books.earn(hold.payee, clock.period_of(self.now), hold.cents)

    def step_dispute(self, books: Books) -> None:
        job = self.some(books.jobs, lambda job: job.state == "resolved" and bool(job.days or self.draw(5)))
        if job is not None:
            self.dispute(books, job)

    def dispute(self, books: Books, job: Job) -> None:
        self.note(books, "dispute", job.run_id)
        opened = self.attempt(
            books,
            lambda: disputes.open_dispute(
                tenant_id=books.tenant_id, run_id=job.run_id, actor=ACTOR, now=self.now,
                context=disputes.context_of({"reason": "half of it", "openedByAgentId": job.payer}),
            ),
            may=not job.is_disputed and job.window_ends_at is not None and self.now <= job.window_ends_at,
        )  # fmt: skip
        job.is_disputed = job.is_disputed or bool(opened)

    def step_settle_dispute(self, books: Books) -> None:
        if job := self.some(books.jobs, lambda job: job.is_disputed):
            self.settle_dispute(books, job)

    def settle_dispute(self, books: Books, job: Job) -> None:
        self.note(books, "settle dispute", job.run_id)
        given = {"resolutionOutcome": "rejected", "closedByAgentId": job.payer, "resolutionSummary": "done"}
        self.attempt(
            books,
            lambda: dispute_closing.close(
                tenant_id=books.tenant_id, run_id=job.run_id, actor=ACTOR, now=self.now,
                given=dispute_closing.given_of(given),
            ),
            may=True,
        )  # fmt: skip
        job.is_disputed = False

    def step_by_hand(self, books: Books) -> None:
        payee = self.random.choice(PAYEES)
        cents = self.random.choice([-1, 1, 1]) * self.random.randint(1, 300)
        month = self.random.choice([name for name in MONTHS if name <= clock.period_of(self.now)])
        at = max(START, clock.parse_iso(f"{month}-01T00:00:00.000Z"))
        self.note(books, "by hand", payee, month, cents)
        lines = (Line("acct_platform_revenue", cents, "USD"), Line("acct_operator_payable", -cents, "USD"))
        wanted = ManualEntry(
            memo="exception", reason="exception", lines=lines, at=at, entry_id=f"man_{self.number}",
            shares=(ManualShare("p1", f"pty_operator:{payee}", "operator", -cents),),
        )  # fmt: skip
        entered = self.attempt(
            books,
            lambda: manual_entries.enter(tenant_id=books.tenant_id, wanted=wanted, actor=ACTOR, now=self.now),
            may=month not in books.closed,
        )
        if entered:
            books.earn(payee, month, cents)

    # --- Months ---------------------------------------------------------------------------------------
    def step_close(self, books: Books) -> None:
        months_now = [name for name in MONTHS if name <= clock.period_of(self.now)]
        open_now = [name for name in months_now if name not in books.closed]
        if open_now and (open_now[0] != months_now[-1] or self.draw(15)):
            self.close(books, open_now[0] if self.draw(80) else self.random.choice(open_now))

    def close(self, books: Books, month: str) -> None:
        is_held = any(clock.period_of(hold.created_at) == month for hold in books.held)
        self.note(books, "close", month)
        place = {"tenant_id": books.tenant_id, "month": month, "basis": BASIS}
        done = self.attempt(
            books,
            lambda: (
                months.request_close(**place, actor=ACTOR, now=self.now),
                close.close_month(**place, now=self.now),
            )[1],
            may=True,
        )
        if done.is_new == is_held:
            raise self.wrong(f"{month} was {'' if done.is_new else 'not '}closed; held is {is_held}")
        if done.is_new:
            self.state(books, month, done.month.generation)
            books.closed.add(month)

    def state(self, books: Books, month: str, generation: int) -> None:
        """Say what the close must have stated, and for whom there must be a statement."""
        for payee in PAYEES:
            row = self.statement(books, payee, month)
            period, carry_in = books.earned[payee, month], books.carried_into(payee, month)
            if row is None:
                books.stated.pop((payee, month), None)
                if period or carry_in > 0:
                    raise self.wrong(f"{payee} has no statement of {month} for {period} and {carry_in}")
                continue
            gross, paid = period + carry_in, books.paid(payee, month)
            payout, carry_out = (gross, min(0, gross)) if paid is None else (0, gross - paid)
            books.stated[payee, month] = Stated(generation, period, carry_in, payout, carry_out)
            self.compare(payee, month, row, books.stated[payee, month])

    def statement(self, books: Books, payee: str, month: str) -> PartyStatement | None:
        with self.scope(books):
            return PartyStatement.objects.filter(
                tenant_id=books.tenant_id, party_id=f"pty_operator:{payee}", period=month,
                party_role="operator", superseded_at__isnull=True,
            ).first()  # fmt: skip

    def step_reopen(self, books: Books) -> None:
        if not books.closed:
            return
        self.reopen(books, self.random.choice(sorted(books.closed)))

    def reopen(self, books: Books, month: str) -> None:
        self.note(books, "reopen", month)
        self.attempt(
            books,
            lambda: months.reopen(
                tenant_id=books.tenant_id, month=month, basis=BASIS, reason="again", actor=ACTOR, now=self.now
            ),
            may=True,
        )
        books.closed.discard(month)
        for (_, when), row in books.stated.items():
            if when == month:
                row.is_closed = False

    # --- Payouts --------------------------------------------------------------------------------------
    def step_pay(self, books: Books) -> None:
        candidates = sorted(key for key, row in books.stated.items() if row.payout > 0)
        fresh = [key for key in candidates if books.stated[key].is_closed and not books.stated[key].is_used]
        candidates = fresh if fresh and self.draw(80) else candidates
        if candidates:
            self.pay(books, *self.random.choice(candidates))

    def pay(self, books: Books, payee: str, month: str) -> None:
        row = books.stated[payee, month]
        jobs = [job for job in books.jobs if (job.payee, job.month) == (payee, month) and job.released]
        grounds = books.grounds(payee, month)
        gross = row.payout
        is_first = not row.is_used and books.paid(payee, month) is None
        is_free = not any(self.is_disputable(job) for job in jobs + grounds)
        is_free = is_free and not any(job.is_disputed for job in grounds)
        may = row.is_closed and (row.is_used or (is_first and is_free and books.available[payee] >= gross))
        self.note(books, "pay", payee, month, gross)
        made = self.attempt(
            books,
            lambda: enqueue.enqueue(
                tenant_id=books.tenant_id, party_id=f"pty_operator:{payee}", period=month, provider_id="",
                counterparty_ref="", actor=ACTOR, now=self.now,
            ),
            may=may,
        )  # fmt: skip
        if made and not row.is_used:
            row.is_used = True
            recovery = min(books.debt[payee], gross)
            books.debt[payee] -= recovery
            books.available[payee] -= gross
            state = "initiated" if gross > recovery else "offset"
            if made.is_offset != (state == "offset"):
                raise self.wrong("a debt takes a payout whole, or does not")
            if made.operation is not None and made.operation.amount_cents != gross - recovery:
                raise self.wrong(f"pays {made.operation.amount_cents}, not {gross - recovery}")
            books.payouts.append(Payout(made.operation, payee, month, gross - recovery, recovery, state))
            for job in grounds:
                job.payout = books.payouts[-1]
            if (books.paid(payee) or 0) > books.gains[payee]:
                raise self.wrong(f"{payee} was paid {books.paid(payee)} and has earned {books.gains[payee]}")

    def is_disputable(self, job: Job) -> bool:
        return job.window_ends_at is not None and self.now <= job.window_ends_at

    def step_tell(self, books: Books) -> None:
        payout = self.some(books.payouts, lambda one: one.state in self.FATES)
        target = self.random.choice(self.FATES[payout.state]) if payout else ""
        if target:
            self.tell(books, payout, target)

    def tell(self, books: Books, payout: Payout, target: str) -> None:
        self.note(books, target, payout.payee, payout.month, payout.gross)
        names = {
            "tenant_id": books.tenant_id, "provider_id": payout.operation.provider_id,
            "operation_id": payout.operation.operation_id, "actor": ACTOR, "now": self.now,
        }  # fmt: skip
        if target == "cancelled":
            self.attempt(books, lambda: cancellation.cancel(**names), may=True)
        else:
            fact = Fact(event_type=target, at=self.now, event_id=f"evt_{self.number}")
            self.attempt(books, lambda: events.ingest(**names, fact=fact), may=True)
        payout.state = target
        if target in (*GONE, "reversed"):
            books.available[payout.payee] += payout.gross
            books.debt[payout.payee] += payout.recovery + (payout.net if target == "reversed" else 0)
        if target == "confirmed":
            books.cash -= payout.net
        if target == "reversed":
            books.cash += payout.net

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

    def some(self, rows: list[Any], is_fit: Callable[[Any], bool]) -> Any:
        fit = [row for row in rows if is_fit(row)]
        return self.random.choice(fit) if fit else None
