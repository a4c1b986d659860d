"""Paying statements, and what the rail tells of it."""

from moneyrails.services import cancellation, enqueue, events
from moneyrails.services.facts import Fact
from tests.kernel.work import ACTOR
from tests.kernel.world_books import GONE, Books, Job, Payout
from tests.kernel.world_months import Months


class Payouts(Months):
    """Steps that pay, and that bring the rail's news."""

    FATES = {
        "initiated": ["submitted", "submitted", "submitted", "submitted", "failed", "cancelled"],
        "submitted": ["confirmed", "confirmed", "confirmed", "confirmed", "failed", "cancelled"],
        "confirmed": ["reversed", ""],
    }  # fmt: skip

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
