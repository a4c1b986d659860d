"""The virtual clock: ours, the measuring one and the provider's are one, and move only when told."""

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator

from settld.core import clock

START = dt.datetime(2026, 3, 2, 8, tzinfo=dt.UTC)


class Timeline:
    """Now, for everybody."""

    def __init__(self, move: Callable[[dt.datetime], None]) -> None:
        self.now = START
        self._move = move
        self._followers: list[Callable[[dt.datetime], None]] = []

    def follow(self, follower: Callable[[dt.datetime], None]) -> None:
        """Keep somebody else's clock equal to this one."""
        self._followers.append(follower)
        follower(self.now)

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.now += dt.timedelta(milliseconds=int(seconds * 1000))
        self._move(self.now)
        for follower in self._followers:
            follower(self.now)


@contextlib.contextmanager
def virtual() -> Iterator[Timeline]:
    """Stop our clock for the block."""
    with clock.freeze(START) as move:
        yield Timeline(move)
