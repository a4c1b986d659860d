"""Closing months and opening them again, with what each statement must say."""

from settld.closing.models import PartyStatement
from settld.closing.services import close, months
from settld.core import clock
from tests.kernel.work import ACTOR
from tests.kernel.world_books import Books, Stated
from tests.kernel.world_stage import BASIS, MONTHS, PAYEES
from tests.kernel.world_work import Work


class Months(Work):
    """Steps that close and reopen."""

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
