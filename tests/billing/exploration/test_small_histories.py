"""T-146: all short histories from several beginnings hold after every move, and come to rest."""

import pytest

from tests.billing.exploration import moves, truth
from tests.billing.exploration.actors import Actors
from tests.billing.exploration.search import Search, Told
from tests.billing.exploration.stage import Stage, staged

pytestmark = [pytest.mark.slow, pytest.mark.django_db, pytest.mark.timeout(900)]


@pytest.fixture
def stage(db, tmp_path, settings):
    with staged(folder=tmp_path, settings=settings) as built:
        yield built


def nothing(stage: Stage, actors: Actors) -> None:
    """Nobody has bought anything."""


def paid_unseen(stage: Stage, actors: Actors) -> None:
    """A checkout was paid, and nobody has told us."""
    moves.start_checkout(stage, key="key-0")
    actors.pay()


def dead_and_paid(stage: Stage, actors: Actors) -> None:
    """We died after the call; the person had the page all the same, and paid."""
    actors.dies("key-0", "billing.checkout.dispatched")
    actors.pay()


def paid_twice(stage: Stage, actors: Actors) -> None:
    """A subscription that we know, and another at the provider for the same customer."""
    paid_unseen(stage, actors)
    moves.deliver_all(stage)
    actors.subscribe_again()


@pytest.mark.parametrize(
    ("begin", "length", "least", "rests_every"),
    [
        (nothing, 4, 4_000, 50),
        (paid_unseen, 2, 100, 15),
        (dead_and_paid, 2, 100, 15),
        (paid_twice, 2, 100, 15),
    ],
)
def test_t_146_all_short_histories_hold_and_come_to_rest(stage, begin, length, least, rests_every):
    actors, ends = Actors(stage), {"reached": 0, "rested": 0}

    def end(_story: Told) -> None:
        ends["reached"] += 1
        if ends["reached"] % rests_every:
            return
        ends["rested"] += 1
        moves.come_to_rest(stage)
        truth.require(stage)
        truth.is_at_rest(stage)

    begin(stage, actors)
    found = Search(stage, end).histories(actors.letters, length=length)
    print(begin.__name__, found, ends)
    assert found.stories >= least
    assert ends["rested"] >= 2
