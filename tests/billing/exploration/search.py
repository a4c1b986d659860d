"""Trying every order and every short history, and following what has come to the same state only once."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from tests.billing.exploration import truth
from tests.billing.exploration.snapshot import Snapshot, fingerprint
from tests.billing.exploration.stage import Stage

Move = Callable[[], object]
Told = tuple[str, ...]
Alphabet = Callable[[Snapshot], Mapping[str, Move]]


class Broken(AssertionError):
    """A story after which something does not hold; says which moves led there."""

    def __init__(self, story: Told, reason: BaseException) -> None:
        super().__init__(f"{' > '.join(story)}: {type(reason).__name__}: {str(reason)[:1500]}")
        self.story, self.reason = story, reason


@dataclasses.dataclass
class Found:
    """How many stories were covered, in how many moves, and how many different states they came by."""

    stories: int = 0
    moves: int = 0
    states: int = 0


@dataclasses.dataclass
class Search:
    """One search from where the stage stands."""

    stage: Stage
    at_the_end: Callable[[Told], object]
    found: Found = dataclasses.field(default_factory=Found)
    covered: dict[Any, int] = dataclasses.field(default_factory=dict)

    def orders(self, moves: Mapping[str, Move]) -> Found:
        """Make the moves in every order."""
        before = truth.require(self.stage)
        self.found.stories = self._orders((), dict(moves), before)
        return self.found

    def histories(self, alphabet: Alphabet, *, length: int) -> Found:
        """Make every sequence of that many moves; `alphabet` gives those that can be made where we stand."""
        before = truth.require(self.stage)
        self.found.stories = self._histories((), alphabet, length, before)
        return self.found

    def _orders(self, told: Told, left: Mapping[str, Move], before: Snapshot) -> int:
        here = fingerprint(self.stage, before), frozenset(left)
        if here in self.covered:
            return self.covered[here]
        self.found.states += 1
        count = 0
        if not left:
            self._end(told)
            count = 1
        for name, move in left.items():
            with self.stage.branch():
                known = self.make((*told, name), move, before)
                rest = {other: left[other] for other in left if other != name}
                count += self._orders((*told, name), rest, known)
        self.covered[here] = count
        return count

    def _histories(self, told: Told, alphabet: Alphabet, length: int, before: Snapshot) -> int:
        here = fingerprint(self.stage, before), length
        if here in self.covered:
            return self.covered[here]
        self.found.states += 1
        count = 0
        if not length:
            self._end(told)
            count = 1
        else:
            for name, move in alphabet(before).items():
                with self.stage.branch():
                    known = self.make((*told, name), move, before)
                    count += self._histories((*told, name), alphabet, length - 1, known)
        self.covered[here] = count
        return count

    def make(self, told: Told, move: Move, before: Snapshot) -> Snapshot:
        """Make a move and look whether everything holds."""
        self.found.moves += 1
        try:
            move()
            return truth.require(self.stage, before)
        except Broken:
            raise
        except Exception as reason:
            raise Broken(told, reason) from reason

    def _end(self, told: Told) -> None:
        try:
            self.at_the_end(told)
        except Broken:
            raise
        except Exception as reason:
            raise Broken(told, reason) from reason


def retell(
    stage: Stage, story: Told, moves: Mapping[str, Move], *, at_the_end: Callable[[Told], object]
) -> None:
    """Tell one story move by move and undo it; raises Broken where something does not hold."""
    search = Search(stage, at_the_end)
    with stage.branch():
        known = truth.require(stage)
        for number, name in enumerate(story, 1):
            known = search.make(story[:number], moves[name], known)
        search._end(story)


def shortened(
    stage: Stage, story: Told, moves: Mapping[str, Move], *, at_the_end: Callable[[Told], object]
) -> Broken | None:
    """Leave moves out of a broken story while it stays broken; None when it is not broken at all."""

    def breaks(tried: Told) -> Broken | None:
        try:
            retell(stage, tried, moves, at_the_end=at_the_end)
        except Broken as broken:
            return broken
        return None

    best = breaks(story)
    if best is None:
        return None
    number = 0
    while number < len(best.story):
        less = breaks(best.story[:number] + best.story[number + 1 :])
        best, number = (less, number) if less is not None else (best, number + 1)
    return best
