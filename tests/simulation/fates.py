"""What befalls a piece of work at a failpoint: it dies there, or it stalls while the world goes on.

A death unwinds as a BaseException, past every handler of ours. What runs on the way out must not be able
to do what a dead process cannot: its database session is gone before the unwinding begins (the server
rolls back), and until somebody has noticed the death no session opens and nothing reaches the provider.

A stall hands the world to others at a place where no transaction is open, and goes on afterwards with all
that it believed. That is what leases are fenced for.
"""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator

from django.db import connection

from settld.core import failpoints

# Between asking whether the lease is fresh and the send itself nothing can be fenced: Stripe knows no tokens.
# Longer than its memory of our key (24 h) no process may sleep there; the call's own time-out is 20 s.
LONGEST_STALL_SECONDS = {"submit.before_call": 3_600.0}


class Death(BaseException):
    """The process ends here."""


@dataclasses.dataclass(frozen=True)
class Fate:
    """What happens at the `number`th point that one piece of work passes."""

    kind: str  # death or stall
    number: int


class Fates:
    """Meets every failpoint of this process."""

    def __init__(self) -> None:
        self.is_dead = False
        self.passed: Counter[str] = Counter()
        self.met: Counter[str] = Counter()
        self.latest = ""
        self.while_stalled: Callable[[str], None] = lambda _point: None
        self._fate: Fate | None = None
        self._points = 0

    def require_alive(self) -> None:
        """Stand at every door to the outside."""
        if self.is_dead:
            raise Death("the dead open no doors")

    @contextlib.contextmanager
    def over(self, fate: Fate | None) -> Iterator[None]:
        """Let a fate hang over the work in the block; a death ends the block quietly."""
        outer = self._fate, self._points
        self._fate, self._points, self.latest = fate, 0, ""
        try:
            yield
        except Death:
            self._bury()
        finally:
            self._fate, self._points = outer

    def visit(self, point: str) -> None:
        """Come by a failpoint."""
        self.require_alive()
        self.passed[point] += 1
        self._points += 1
        fate = self._fate
        if fate is None or fate.number != self._points:
            return
        if fate.kind == "death":
            self._note("death", point)
            self.is_dead = True
            if connection.connection is not None:
                connection.connection.close()
            raise Death(point)
        if not connection.in_atomic_block:
            self._note("stall", point)
            self._fate = None  # what others do meanwhile is not struck as well
            self.while_stalled(point)

    def _note(self, kind: str, point: str) -> None:
        self.met[f"{kind} at {point}"] += 1
        self.latest = f"{kind} at {point}"

    def _bury(self) -> None:
        self.is_dead = False
        connection.close()

    @contextlib.contextmanager
    def reigning(self) -> Iterator[None]:
        """Watch the failpoints, and the database's door, for the block."""
        connect = connection.connect

        def guarded() -> None:
            self.require_alive()
            connect()

        connection.connect = guarded  # type: ignore[method-assign]
        try:
            with failpoints.watched(self.visit):
                yield
        finally:
            del connection.connect
