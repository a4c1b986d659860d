"""T-146: long histories by rules: invariants hold throughout, and at rest we agree with the provider.

The rules are the letters of the walks; here Hypothesis draws them, and shortens what it breaks with.
"""

from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.billing.exploration import moves, truth
from tests.billing.exploration.actors import Actors
from tests.billing.exploration.search import Move
from tests.billing.exploration.snapshot import Snapshot
from tests.billing.exploration.stage import Stage, staged

pytestmark = [pytest.mark.slow, pytest.mark.django_db, pytest.mark.timeout(900)]
LOOPS = ("recover", "recovery", "recovery, no answer", "reconciliation", "workers", "workers, no answer")


class Histories(RuleBasedStateMachine):
    """One entity, a provider with faults, a post that forgets, repeats and reorders, loops, and deaths."""

    stage: ClassVar[Stage]
    letters: ClassVar[dict[str, Move]]

    def __init__(self) -> None:
        super().__init__()
        self.branch = self.stage.branch()
        self.branch.__enter__()
        self.known: Snapshot = truth.require(self.stage)

    def teardown(self) -> None:
        try:
            moves.come_to_rest(self.stage)
            truth.require(self.stage)
            truth.is_at_rest(self.stage)
        finally:
            self.branch.__exit__(None, None, None)

    def make(self, data: st.DataObject, *beginnings: str) -> None:
        names = [name for name in self.letters if name.startswith(beginnings)]
        self.letters[data.draw(st.sampled_from(names))]()
        self.known = truth.require(self.stage, self.known)

    @rule(data=st.data())
    def start_checkout(self, data: st.DataObject) -> None:
        """With a new key or a known one; over a bad line, with the provider's faults, with rivals, dying."""
        self.make(data, "checkout")

    @rule(data=st.data())
    def people(self, data: st.DataObject) -> None:
        self.make(data, "pay", "return", "cancel", "portal", "a second subscription")

    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """Any event that waits, one that was delivered, or all of them backwards; or we die meanwhile."""
        self.make(data, "post")

    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        self.make(data, *(f"{seconds} s" for seconds in (1, 61, 130, 1_000, 7_200, 86_400)))

    @rule(data=st.data())
    def loops(self, data: st.DataObject) -> None:
        self.make(data, "loop", *LOOPS)

    @rule(data=st.data())
    def the_provider(self, data: st.DataObject) -> None:
        self.make(data, "the provider")


def test_t_146_histories_by_rules_hold_and_agree_with_the_provider(db, tmp_path, request):
    with staged(folder=tmp_path, settings=request.getfixturevalue("settings")) as stage:
        Histories.stage, Histories.letters = stage, Actors(stage).many_letters()
        run_state_machine_as_test(
            Histories,
            settings=settings(
                max_examples=12,
                stateful_step_count=15,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
