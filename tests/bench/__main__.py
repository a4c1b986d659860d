"""Run the bench: `python -m tests.bench [--quick] [--million] [--json PATH]`, and one of `--reconcile`,
`--queue`, `--billing`, `--ledger` and `--close` for that instead.

Starts its own PostgreSQL (fsync and synchronous_commit on), Redis, product and floor servers in a
scratch folder and removes them again. Ends with 1 when an answer was wrong; a missed aim is printed.
"""

import argparse
import time
from pathlib import Path

from settld.launcher.commands import cores
from tests.bench import (
    billing,
    close,
    counting,
    ledger,
    measuring,
    queue,
    reconcile,
    report,
    runs,
    scenarios,
    seeding,
    world,
)
from tests.bench.measuring import Bench, Results
from tests.bench.scenarios import HOT, SPREAD

FLAT_KINDS = ("enqueue", "signed ingest", "read")
FLOOR_OF = {
    "enqueue": "floor view, same inserts",
    "signed ingest": "floor view, ingest's inserts",
    "read": "floor view, read",
}
READS = 2000


def main() -> int:
    options = _options()
    if options.reconcile:
        return reconcile.main(million=options.million, report_path=options.json)
    if options.queue:
        return queue.main(million=options.million, report_path=options.json)
    if options.billing:
        return billing.main(quick=options.quick, report_path=options.json)
    if options.ledger:
        wrong = ledger.main(quick=options.quick, report_path=options.json)
        beside = options.json and options.json.with_stem(f"{options.json.stem}-runs")
        return runs.main(quick=options.quick, report_path=beside) or wrong
    if options.close:
        return close.main(quick=options.quick, report_path=options.json)
    started = time.monotonic()
    workers = min(4, cores())
    with world.running(workers=workers) as here, here.logged():
        with here.product() as here.product_port, here.floor() as here.floor_port:
            _say(started, f"servers are up: {workers} workers each")
            spread, hot = scenarios.pools(here, spread=options.statements, hot=options.statements // 2)
            _say(started, "statements are seeded")
            counts = counting.count(here, spread)
            _say(started, f"round trips are counted: {counts.round_trips}")
            bench = _bench(here, spread, hot, counts, seconds=options.seconds)
            bench.rounds(measuring.KINDS, [4], rounds=1)  # warms every worker up
            _say(started, "warm")
            empty = bench.rounds(_flat_cells(), [report.JUDGED_AT], rounds=options.rounds)
            results = bench.rounds(measuring.KINDS, [1, 16, 64], rounds=options.rounds)
            _say(started, "measured")
            notes = [scenarios.check_cap(here), scenarios.check_one_key(here)]
            _say(started, "checked")
            flat = {}
            if options.operations:
                seeding.operations(here, tenants=[*SPREAD, HOT], count=options.operations)
                _say(started, f"{options.operations:,} more operations are there")
                bench.rounds(_flat_cells(), [report.JUDGED_AT], rounds=1)  # caches are warm again
                full = bench.rounds(_flat_cells(), [report.JUDGED_AT], rounds=options.rounds)
                flat = {kind: _flatness(empty, full, kind) for kind in FLAT_KINDS}
            here.manage("moneyrails_check")
            notes += [
                "every replay was byte for byte the first answer, and no answer was a 5xx",
                "every exposure counter equals the sum it stands for",
            ]
    found = report.aims(results, flat=flat)
    print(report.show(results, counts, found, notes))
    if options.json:
        report.write(
            options.json, results, counts, found, notes,
            workers=workers, operationsAdded=options.operations, seconds=time.monotonic() - started,
        )  # fmt: skip
        print(f"\nwritten to {options.json}")
    _say(started, "done")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look in under a minute: one short round")
    parser.add_argument("--million", action="store_true", help="fill up to a million operations")
    parser.add_argument("--reconcile", action="store_true", help="measure the reconciliation instead")
    parser.add_argument("--queue", action="store_true", help="measure the mismatch queue instead")
    parser.add_argument("--billing", action="store_true", help="measure checkout billing instead")
    parser.add_argument("--ledger", action="store_true", help="measure the journal and runs instead")
    parser.add_argument("--close", action="store_true", help="measure the month close instead")
    parser.add_argument("--operations", type=int, default=100_000, help="operations to fill up with; 0: none")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args()
    options.rounds, options.seconds, options.statements = 3, 1.0, 60_000
    if options.quick:
        options.rounds, options.seconds, options.operations, options.statements = 1, 0.5, 0, 12_000
    if options.million:
        options.operations = 1_000_000
    return options


def _bench(
    here: world.World, spread: scenarios.Pool, hot: scenarios.Pool, counts: counting.Counts, *, seconds: float
) -> Bench:
    places = spread.parties[spread.at : spread.at + 200]
    spread.at += len(places)
    replay = scenarios.replay_requests(here, places)
    operations = scenarios.initiated(here, tenants=SPREAD, limit=READS)
    read = scenarios.read_requests(here, operations)
    return Bench(here, spread, hot, counts.inserts, seconds, read, replay)


def _flat_cells() -> list[str]:
    return [kind for ours in FLAT_KINDS for kind in (ours, FLOOR_OF[ours])]


def _flatness(empty: Results, full: Results, kind: str) -> float:
    """How many times slower the full database is, each side held against the floor of its own minute."""
    at = report.JUDGED_AT
    return empty.ratio(kind, FLOOR_OF[kind], at) / full.ratio(kind, FLOOR_OF[kind], at)


def _say(started: float, text: str) -> None:
    print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
