"""The simulator's clock: real by default, moved or frozen by the control door."""

import datetime as dt
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal, Self

from settld.stripe_simulator.wire import Json


@dataclass
class Clock:
    """`now()` dates every object, the `Date` header and the life of idempotency keys.

    Modes: `real`; `offset` (real time plus a distance, still running); `frozen` (stands still).
    Webhook deliveries are scheduled in real time whatever the mode; only their signatures may be virtual.
    """

    mode: Literal["real", "offset", "frozen"] = "real"
    offset_seconds: int = 0
    frozen_at: int = 0
    signature_time: Literal["real", "virtual"] = "virtual"
    # Of one thread only: meanwhile the others, and the `Date` headers they write, must not see it.
    _standing: ClassVar[threading.local] = threading.local()

    @contextmanager
    def standing_at(self, at: int) -> Iterator[None]:
        """What this thread does inside happens at that time: things that fell due are dated by it."""
        before = getattr(self._standing, "at", None)
        self._standing.at = at
        try:
            yield
        finally:
            self._standing.at = before

    def now(self) -> int:
        at: int | None = getattr(self._standing, "at", None)
        if at is not None:
            return at
        if self.mode == "frozen":
            return self.frozen_at
        return int(time.time()) + (self.offset_seconds if self.mode == "offset" else 0)

    def signature_now(self) -> int:
        return self.now() if self.signature_time == "virtual" else int(time.time())

    def freeze(self, at: int) -> None:
        self.mode, self.frozen_at, self.offset_seconds = "frozen", at, 0

    def advance(self, seconds: int) -> None:
        if self.mode == "frozen":
            self.frozen_at += seconds
        else:
            self.mode = "offset"
            self.offset_seconds += seconds

    def follow_real_time(self) -> None:
        self.mode, self.offset_seconds, self.frozen_at, self.signature_time = "real", 0, 0, "virtual"

    def state(self) -> Json:
        return asdict(self)

    @classmethod
    def restore(cls, state: Json | None) -> Self:
        return cls(**state) if state else cls()

    def describe(self) -> Json:
        now = self.now()
        iso = dt.datetime.fromtimestamp(now, dt.UTC).isoformat().replace("+00:00", "Z")
        return {"mode": self.mode, "now": now, "iso": iso, "signature_time": self.signature_time}


def parse_instant(value: object) -> int:
    """Unix seconds from an integer or from an ISO 8601 text with an offset; ValueError otherwise."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        moment = dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
        if moment.tzinfo is not None:
            return int(moment.timestamp())
    raise ValueError("an instant is unix seconds or ISO 8601 with an offset")
