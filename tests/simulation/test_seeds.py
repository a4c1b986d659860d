"""Seeds that every run of the tests tries; `python -m tests.simulation` tries any other, and longer."""

import pytest

from tests.simulation.simulation import Simulation, simulated
from tests.support.servers import process_database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SEEDS = (3, 4, 6, 12)
STEPS = 550  # of each, so that a run sees 2,200


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_holds_after_every_step_and_comes_to_rest(live_db, seed):
    with simulated(seed=seed, database=process_database()) as simulation:
        simulation.run(STEPS)
        assert simulation.number >= STEPS
        _has_been_somewhere(simulation)


def _has_been_somewhere(simulation: Simulation) -> None:
    """A run in which nothing happens proves nothing."""
    operations = simulation.books.operations()
    assert len(operations) >= 25
    assert len(simulation.provider.transfers()) >= 5
    assert {"stripe_sim", "stub_default", "bank_wire"} == {row["provider_id"] for row in operations}
    fates = {kind.split(" ")[0] for kind in simulation.fates.met}
    assert fates == {"death", "stall"}
    assert len(simulation.fates.met) >= 12


def test_an_equal_seed_is_an_equal_run(live_db, request):
    from tests.support import pristine

    runs = []
    for _ in range(2):
        with simulated(seed=5, database=process_database()) as simulation:
            simulation.run(150, to_the_end=False)
            runs.append((simulation.number, simulation.digest.hexdigest(), list(simulation.log)))
        pristine.restore(request.getfixturevalue("_pristine"))
    assert runs[0] == runs[1]
