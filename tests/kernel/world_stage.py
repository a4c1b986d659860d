"""What a world stands on: seed, clock, tenants, and how an act is tried and told."""

import datetime as dt
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from moneyrails.services import controls
from settld.core import clock, tenancy, transactions
from settld.core.errors import Refusal
from settld.kernel.services.agents import NewAgent, register
from tests.kernel.work import ACTOR, PEM
from tests.kernel.world_books import Books

START = dt.datetime(2026, 3, 28, 9, tzinfo=dt.UTC)
MONTHS = ("2026-03", "2026-04", "2026-05")  # two to work in, and one in which all comes to rest
LAST = "2026-06"
PAYERS, PAYEES = ("agt_shop", "agt_bakery"), ("agt_ada", "agt_bert")
BASIS = "settledAt"


class Found(AssertionError):
    """The product and the model differ; says where, and what was done before."""


class Stage:
    """Tenants and agents, the clock, and the way each act is tried; `log` is what a failure prints."""

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

    def step_time(self, books: Books) -> None:
        self.wait(books, self.random.choice([5, 24, 48, 24 * 5, 24 * 9]))

    def wait(self, books: Books, hours: int) -> None:
        self.now = min(self.now + dt.timedelta(hours=hours), dt.datetime(2026, 5, 12, tzinfo=dt.UTC))
        self.note(books, "time")

    def some(self, rows: list[Any], is_fit: Callable[[Any], bool]) -> Any:
        fit = [row for row in rows if is_fit(row)]
        return self.random.choice(fit) if fit else None
