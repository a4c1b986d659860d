"""What the model of a world knows of one tenant: plain sums, by the words of the specifications."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

GONE = ("failed", "cancelled")


@dataclass
class Job:
    """A run: who pays whom, what for, and what has become of it."""

    run_id: str
    payer: str
    payee: str
    cents: int
    days: int
    head: str
    by_hand: bool
    state: str = "open"  # open, waiting for a person, resolved
    released: int = 0
    month: str = ""
    window_ends_at: dt.datetime | None = None
    is_disputed: bool = False
    payout: "Payout | None" = None  # the last one that it was given to

    @property
    def is_given(self) -> bool:
        """Tell whether a payout that lives, or was taken back, rests on it."""
        return self.payout is not None and self.payout.state not in GONE


@dataclass
class Stated:
    """A party's statement as the model says it."""

    generation: int
    period: int
    carry_in: int
    payout: int
    carry_out: int
    is_closed: bool = True
    is_used: bool = False


@dataclass
class Payout:
    """Money on its way out: the net over the rail, the recovery withheld."""

    operation: Any
    payee: str
    month: str
    net: int
    recovery: int
    state: str = "initiated"

    @property
    def gross(self) -> int:
        return self.net + self.recovery


@dataclass
class Held:
    """A tool call's hold."""

    hold_hash: str
    payer: str
    payee: str
    cents: int
    created_at: dt.datetime
    ends_at: dt.datetime


@dataclass
class Books:
    """One tenant, as the model knows it."""

    tenant_id: str
    available: Counter = field(default_factory=Counter)
    locked: Counter = field(default_factory=Counter)
    earned: Counter = field(default_factory=Counter)  # (payee, month) -> cents
    gains: Counter = field(default_factory=Counter)  # payee -> what was earned, corrections downwards aside
    debt: Counter = field(default_factory=Counter)
    funded: list[list[Any]] = field(default_factory=list)  # [receipt id, agent, cents left]
    cash: int = 0
    jobs: list[Job] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    stated: dict[tuple[str, str], Stated] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    payouts: list[Payout] = field(default_factory=list)

    def paid(self, payee: str, month: str | None = None) -> int | None:
        """Gross of what is neither failed nor cancelled; None where there is none."""
        live = [
            one.gross for one in self.payouts
            if one.payee == payee and month in (None, one.month) and one.state not in GONE
        ]  # fmt: skip
        return sum(live) if live else None

    def carried_into(self, payee: str, month: str) -> int:
        """What other closed months leave open for this one; what a later one took is not given again."""
        before = everywhere = 0
        for (whose, when), row in self.stated.items():
            if whose != payee or when == month:
                continue
            left = row.carry_out - row.carry_in
            left = left if row.is_closed else min(left, 0)
            everywhere += left
            before += left if when < month else 0
        return min(before, everywhere)

    def grounds(self, payee: str, month: str) -> list[Job]:
        """List what a statement's payout rests on: its month's runs, and what earlier ones could not pay."""
        row = self.stated[payee, month]
        jobs = [job for job in self.jobs if job.payee == payee and job.released]
        own = [job for job in jobs if job.month == month and not job.is_given]
        unpaid = [
            when for (whose, when), other in self.stated.items()
            if whose == payee and when < month and other.is_closed and other.payout <= 0
        ]  # fmt: skip
        carried = [job for job in jobs if job.month in unpaid and not job.is_given]
        return own + (carried if row.carry_in else [])

    def earn(self, payee: str, month: str, cents: int) -> None:
        self.earned[payee, month] += cents
        self.gains[payee] += max(0, cents)
