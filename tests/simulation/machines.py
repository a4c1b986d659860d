"""What our own processes do: workers' loops and the intake of the provider's post."""

from typing import TYPE_CHECKING

from moneyrails.services import doubt
from reconciliation.services import scheduler
from settld.closing.services import worker
from settld.core import clock
from settld.maintenance.services.runs import MaintenanceAlreadyRunning
from settld.stripe_gateway.services import consumption

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation


def close_requested(sim: "Simulation") -> None:
    done = worker.close_requested(now=clock.now(), limit=sim.draw.randint(1, 5))
    sim.note(f"closed {done}")


def recover(sim: "Simulation") -> None:
    ends = doubt.recover_due(now=clock.now(), limit=sim.draw.randint(1, 20))
    sim.note(f"recovered {dict(sorted(ends.items()))}")
    if ends.get("error"):
        sim.breaks(f"a recovery failed: {list(sim.errors)[-1:]}")


def drain_inbox(sim: "Simulation") -> None:
    done = consumption.consume_due(owner="simulation", limit=sim.draw.randint(1, 20), budget_seconds=600)
    sim.note(f"consumed {done}")


def bring_post(sim: "Simulation") -> None:
    """Deliver some letters in any order; some twice, some with the answer lost, a few never."""
    letters = sim.provider.letters()
    sim.draw.shuffle(letters)
    for letter in letters[: sim.draw.randint(1, 6)]:
        fate = sim.draw.random()
        if fate < 0.04:
            sim.provider.lose(letter)
            sim.note("lost a letter")
            continue
        for _ in range(2 if fate < 0.15 else 1):
            status = sim.deliver(letter)
        sim.provider.note_delivery(letter, status=None if 0.15 <= fate < 0.25 else status)


def reconcile_all(sim: "Simulation") -> None:
    """Beat's run over every tenant: the provider's statement is read, books and statement are compared."""
    try:
        result = scheduler.run(scheduler.Order.scheduled(force=sim.draw.random() < 0.8))
    except MaintenanceAlreadyRunning:
        sim.note("already running")
        return
    summary = result.get("summary") or {}
    sim.note(f"reconciled {summary.get('passCount')} passed, {summary.get('failCount')} failed")
    if summary.get("errored"):
        sim.breaks(f"a comparison broke: {[row for row in result['results'] if row['status'] == 'error']}")


STEPS = (
    (2, reconcile_all),
    (4, close_requested),
    (8, recover),
    (9, drain_inbox),
    (12, bring_post),
)
