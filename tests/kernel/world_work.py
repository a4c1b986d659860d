"""What agents do: money in and back, runs and their ends, holds, disputes, entries by hand."""

import datetime as dt
from typing import Any

from settld.core import clock
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
from settld.kernel.services.resolution import Asked
from settld.kernel.states import FundingSource
from settld.ledger.drafts import Line
from settld.ledger.services import manual_entries
from settld.ledger.services.manual_entries import ManualEntry, ManualShare
from tests.kernel.work import ACTOR
from tests.kernel.world_books import Books, Held, Job
from tests.kernel.world_stage import MONTHS, PAYEES, PAYERS, START, Stage


class Work(Stage):
    """Steps that earn, set aside, dispute and correct."""

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
