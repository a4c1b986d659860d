"""Run the simulation by hand: `python -m tests.simulation --steps 100000 --seed 7`.

Long runs are told in chapters, each a world of its own with a seed that follows from the first, so that
checks over everything stay quick. A failure prints the seed of its chapter and how to run it alone.
"""

import argparse
import os
import sys
import time
from collections import Counter

CHAPTER_STEPS = 2_000


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    arguments.add_argument("--steps", type=int, default=2_000)
    arguments.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000)
    arguments.add_argument("--log", action="store_true", help="print every step")
    options = arguments.parse_args()

    from tests.support import servers

    started = servers.start_for_tests()
    try:
        return _run(steps=options.steps, seed=options.seed, prints=options.log)
    finally:
        started.stop()


def _run(*, steps: int, seed: int, prints: bool) -> int:
    os.environ["DJANGO_SETTINGS_MODULE"] = "settld.settings"
    import django

    django.setup()
    from django.test.utils import setup_test_environment

    from tests.simulation.simulation import Failed, simulated
    from tests.support import pristine

    setup_test_environment()
    database = _database()
    clean = pristine.remember(database)
    met: Counter[str] = Counter()
    began_at, done = time.monotonic(), 0
    while done < steps:
        with simulated(seed=seed, database=database) as simulation:
            if prints:
                simulation.listener = print
            try:
                simulation.run(min(CHAPTER_STEPS, steps - done))
            except Failed as failure:
                print(failure)
                return 1
            done += simulation.number
            met += simulation.fates.met
            operations, transfers = len(simulation.books.operations()), len(simulation.provider.transfers())
        print(
            f"seed {seed}: {simulation.number} steps, {operations} payouts, {transfers} transfers, "
            f"all at rest; {done} steps in {time.monotonic() - began_at:.0f} s",
            flush=True,
        )
        pristine.restore(clean)
        seed += 1
    for fate, count in sorted(met.items()):
        print(f"{count:>6} {fate}")
    return 0


def _database() -> str:
    """Make this process's database, as a test run would."""
    from django.core.management import call_command
    from django.db import connections

    from tests.support import servers

    name = servers.process_database()
    with servers.admin_connection("postgres") as connection:
        servers._create(connection, name)
    for each in connections.all():
        each.settings_dict["NAME"] = name
    call_command("migrate", database="owner", verbosity=0, interactive=False)
    for each in connections.all():
        each.close()
    return name


if __name__ == "__main__":
    sys.exit(main())
