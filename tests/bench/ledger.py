"""The journal against its floor: plain psycopg inserts of the same rows, in the same run, turn about.

`python -m tests.bench --ledger [--quick]`: postings per second with 1, 16 and 64 connections, over many
wallets and all on one. One turn funds a wallet: two entries, four postings, two shares, eight balance rows,
committed for good. What is judged are ratios.
"""

import contextlib
import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from settld.launcher import commands
from tests.bench import world

AIM: Final = 0.4
PROCESSES: Final = 4
CONCURRENCIES: Final = (1, 16, 64)
WALLETS: Final = 2000
POSTINGS_A_TURN: Final = 4
# Name of a cell, and the wallets that its turns choose from.
CELLS: Final = {"fund, many wallets": WALLETS, "fund, one wallet": 1}
SIDES: Final = ("floor", "ours")


@dataclasses.dataclass
class Cell:
    """What was measured of one cell at one concurrency: postings per second by round, and latencies."""

    name: str
    concurrency: int
    rates: dict[str, list[float]] = dataclasses.field(default_factory=lambda: {side: [] for side in SIDES})
    taken: dict[str, list[int]] = dataclasses.field(default_factory=lambda: {side: [] for side in SIDES})

    def rate(self, side: str) -> float:
        return statistics.median(self.rates[side])

    def ratio(self) -> float:
        """Compare round by round, so that what slows the machine for a while slows both."""
        pairs = zip(self.rates["ours"], self.rates["floor"], strict=True)
        return statistics.median(ours / floor for ours, floor in pairs)

    def percentile_ms(self, side: str, share: float) -> float:
        ordered = sorted(self.taken[side])
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1e6

    def line(self) -> str:
        slow = {side: [self.percentile_ms(side, share) for share in (0.5, 0.99)] for side in SIDES}
        return (
            f"{self.name:20} x{self.concurrency:<3} floor {self.rate('floor'):8,.0f} postings/s"
            f"  ours {self.rate('ours'):8,.0f}  ratio {self.ratio():5.2f}  p50/p99"
            f" {slow['ours'][0]:.1f}/{slow['ours'][1]:.1f} ms"
            f" (floor {slow['floor'][0]:.1f}/{slow['floor'][1]:.1f})"
        )


def main(*, quick: bool, report_path: Path | None = None) -> int:
    """Measure, check the books, print; 1 when the books are wrong. A missed aim is printed."""
    rounds, seconds = (1, 1.0) if quick else (5, 2.0)
    with world.running(workers=1) as here, _workers(here) as workers:
        _ask(workers[0], {"do": "prepare", "wallets": WALLETS})
        for side in SIDES:  # plans are prepared and caches warm
            _turns(workers, side=side, wallets=WALLETS, concurrency=64, seconds=1.0)
        here.sql("VACUUM ANALYZE")
        here.sql("CHECKPOINT")
        made = {side: _count(here, side) for side in SIDES}
        cells = []
        for name, wallets in CELLS.items():
            for concurrency in CONCURRENCIES:
                cell = Cell(name, concurrency)
                for _ in range(rounds):
                    for side in SIDES:
                        taken = _turns(
                            workers, side=side, wallets=wallets, concurrency=concurrency, seconds=seconds
                        )
                        made[side] += 2 * len(taken)
                        cell.taken[side] += taken
                        cell.rates[side].append(len(taken) * POSTINGS_A_TURN / seconds)
                print(cell.line(), flush=True)
                cells.append(cell)
        problems = _ask(workers[0], {"do": "check"})
        for side, wanted in made.items():
            if (stored := _count(here, side)) != wanted:
                problems.append(f"{side} has {stored:,} entries instead of {wanted:,}")
    for cell in cells:
        if cell.ratio() < AIM:
            print(
                f"missed: {cell.name} x{cell.concurrency} is {cell.ratio():.2f} of its floor, aimed at {AIM}"
            )
    for problem in problems:
        print(f"WRONG: {problem}")
    if not problems:
        print("every entry balances, every balance is the sum of its postings, none is missing")
    if report_path:
        report_path.write_text(json.dumps([_told(cell) for cell in cells], indent=2) + "\n")
    return 1 if problems else 0


@contextlib.contextmanager
def _workers(here: world.World) -> Iterator[list["subprocess.Popen[str]"]]:
    environment = here.environment | {"LEDGER_FLOOR_URL": here.admin_url}
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.ledger_worker"],
            env=environment, cwd=commands.CHECKOUT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for _ in range(PROCESSES)
    ]  # fmt: skip
    try:
        yield workers
    finally:
        for worker in workers:
            if worker.stdin is not None:
                worker.stdin.close()
            worker.wait(30)


def _turns(
    workers: list["subprocess.Popen[str]"], *, side: str, wallets: int, concurrency: int, seconds: float
) -> list[int]:
    """Let as many connections as told take turns for a while; gives each turn's nanoseconds."""
    taking = workers[: min(concurrency, len(workers))]
    order: dict[str, Any] = {
        "do": "post",
        "side": side,
        "wallets": wallets,
        "threads": concurrency // len(taking),
        "seconds": seconds,
        "startAt": time.time() + 0.3,
    }
    for number, worker in enumerate(taking):
        _send(worker, order | {"seed": number * 1000})
    return [one for worker in taking for one in _answer(worker)]


def _ask(worker: "subprocess.Popen[str]", order: dict[str, Any]) -> Any:
    _send(worker, order)
    return _answer(worker)


def _send(worker: "subprocess.Popen[str]", order: dict[str, Any]) -> None:
    assert worker.stdin is not None
    worker.stdin.write(json.dumps(order) + "\n")
    worker.stdin.flush()


def _answer(worker: "subprocess.Popen[str]") -> Any:
    assert worker.stdout is not None
    answer = worker.stdout.readline()
    if not answer:
        raise RuntimeError("a worker broke off; its error stands above")
    return json.loads(answer)


def _count(here: world.World, side: str) -> int:
    ((count,),) = here.sql("SELECT count(*) FROM ledger_entry WHERE tenant_id = %s", f"ledger_{side}")
    return int(str(count))


def _told(cell: Cell) -> dict[str, Any]:
    return {
        "name": cell.name,
        "concurrency": cell.concurrency,
        "ratio": round(cell.ratio(), 4),
        **{f"{side}PerSecond": round(cell.rate(side), 1) for side in SIDES},
        **{f"{side}P99Ms": round(cell.percentile_ms(side, 0.99), 3) for side in SIDES},
    }
