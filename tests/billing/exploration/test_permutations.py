"""T-140 to T-145: the final state does not depend on the order in which things become known (INV-32)."""

import math
import os
from collections.abc import Callable

import pytest

from settld.stripe_gateway.models import StripeEventConsumption
from tests.billing.exploration import moves, truth
from tests.billing.exploration.search import Move, Search
from tests.billing.exploration.stage import Stage, staged

pytestmark = [pytest.mark.slow, pytest.mark.django_db, pytest.mark.timeout(900)]


@pytest.fixture
def stage(db, tmp_path, settings):
    with staged(folder=tmp_path, settings=settings) as built:
        yield built


class Story:
    """A checkout that was started and paid, of which we know nothing yet; and its ending in any one order."""

    def __init__(self, stage: Stage, *, dies_at: str | None = None, same_second: bool = False) -> None:
        self.stage = stage
        if dies_at is None:
            status, answer = moves.start_checkout(stage)
            assert status == 200, answer
        else:
            with stage.dying_at(dies_at):
                moves.start_checkout(stage)
                raise AssertionError(f"nothing passed {dies_at}")
            stage.settle()
        (session,) = stage.objects("checkout.session")
        stage.pass_by(0 if same_second else 30)
        moves.pay(stage, session["id"])
        stage.pass_by(0 if same_second else 5)
        moves.touch_subscription(stage)
        stage.pass_by(0 if same_second else 5)
        stage.pass_by(180)  # leases have run out: the recovery loop may act whenever it comes
        self.post = {kind: stage.events(kind)[-1] for kind in moves.KINDS}
        if same_second:
            second = min(event["created"] for event in self.post.values())
            self.post = {kind: event | {"created": second} for kind, event in self.post.items()}
        self.first: dict | None = None

    def moves(self) -> dict[str, Move]:
        deliveries = {
            kind: (lambda event=event: self.stage.deliver(event)) for kind, event in self.post.items()
        }
        return deliveries | {
            "browser return": lambda: moves.refresh(self.stage),
            "recovery tick": lambda: moves.recover(self.stage),
        }

    def mend(self) -> None:
        """What failed is sent again, as the provider does: a 409 is not the end of an event."""
        done = StripeEventConsumption.objects.filter(consumer="checkout", status="done")
        known = set(done.values_list("event__provider_event_id", flat=True))
        for event in self.post.values():
            if event["id"] not in known:
                self.stage.deliver(event)

    def compare(self, order: tuple[str, ...]) -> None:
        self.mend()
        result = truth.outcome(self.stage)
        truth.is_settled(result)
        if self.first is None:
            self.first = result
        assert result == self.first, order


@pytest.mark.parametrize(
    "tell",
    [
        pytest.param(lambda stage: Story(stage), id="T-140 the request was answered"),
        pytest.param(
            lambda stage: Story(stage, dies_at="billing.checkout.dispatched"), id="T-141 Tx B never ran"
        ),
        pytest.param(lambda stage: Story(stage, same_second=True), id="T-145 all in one second"),
    ],
)
def test_t_140_t_141_t_145_all_720_orders_end_alike(stage, tell: Callable[[Stage], Story]):
    story = tell(stage)
    found = Search(stage, story.compare).orders(story.moves())
    print(found)
    assert found.stories == 720


def test_inv_32_all_orders_after_a_crash_with_a_reconciliation_and_a_second_checkout(stage):
    """720 orders in every run; `EXPLORATION_ALL=1` adds invoice.paid and the browser's return: 40,320."""
    story = Story(stage, dies_at="billing.checkout.dispatched")
    tries = story.moves() | {
        "reconciliation": lambda: moves.reconcile(stage),
        "second checkout": lambda: _is_refused(stage),
    }
    if not os.environ.get("EXPLORATION_ALL"):
        del tries["invoice.paid"], tries["browser return"]

    def compare(order: tuple[str, ...]) -> None:
        story.mend()
        result = truth.outcome(stage)
        result["requests"] = [row for row in result["requests"] if row[1] != "failed"]
        truth.is_settled(result)
        assert len(stage.objects("checkout.session")) == len(stage.objects("subscription")) == 1
        del result["payments"]  # a loop has the real payment's id, an event alone a made-up one
        story.first = story.first or result
        assert result == story.first, order

    found = Search(stage, compare).orders(tries)
    print(found)
    assert found.stories == math.factorial(len(tries))


def _is_refused(stage: Stage) -> None:
    """A second checkout finds the first: under way, open, completed or subscribed."""
    status, body = moves.start_checkout(stage, key="key-2")
    assert status == 409, body


@pytest.mark.parametrize("dropped", moves.KINDS)
def test_t_142_every_order_with_events_doubled_and_one_lost_is_repaired_by_the_loops(stage, dropped):
    story = Story(stage)
    lost = story.post.pop(dropped)
    doubled = {
        kind: (lambda event=event: [stage.deliver(event), stage.deliver(event)])
        for kind, event in story.post.items()
    }
    others = {name: move for name, move in story.moves().items() if name not in story.post}

    def compare(order: tuple[str, ...]) -> None:
        story.mend()
        stage.pass_by(1_000)
        moves.reconcile(stage)
        moves.recover(stage)
        result = truth.outcome(stage)
        truth.is_settled(result)
        payments = result.pop(
            "payments"
        )  # what the loops read has the real payment's id, an event a made-up one
        assert [(payment[0], payment[1]) for payment in payments] == [("paid", 4_900)]
        if story.first is None:
            story.first = result
        assert result == story.first, (order, lost["type"])

    assert Search(stage, compare).orders(doubled | others).stories == 120
