"""Runs with settlement against their floor: the same rows by plain psycopg, in the same run, turn about.

Part of `python -m tests.bench --ledger`. One turn opens a run with settlement, starts and completes it: three
transactions, all committed for good, without HTTP on either side. Payer and payee are one of many pairs, or
always the same pair, whose wallets then stand in everybody's way. What is judged are ratios.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from settld.launcher import commands
from tests.bench import ledger, world
from tests.bench.ledger import CONCURRENCIES, PROCESSES, SIDES, Cell

AIM: Final = 0.4
PAIRS: Final = 300
CELLS: Final = {"run, many pairs": PAIRS, "run, one pair": 1}


def main(*, quick: bool, report_path: Path | None = None) -> int:
    """Measure, check wallets and books, print; 1 when something is wrong. A missed aim is printed."""
    rounds, seconds = (1, 1.0) if quick else (3, 2.0)
    cells: list[Cell] = []
    with world.running(workers=1) as here, _workers(here) as workers:
        ledger._ask(workers[0], {"do": "prepare", "wallets": PAIRS})
        for side in SIDES:  # plans are prepared and caches warm
            ledger._turns(workers, side=side, wallets=PAIRS, concurrency=64, seconds=1.0)
        here.sql("VACUUM ANALYZE")
        here.sql("CHECKPOINT")
        for name, pairs in CELLS.items():
            for concurrency in CONCURRENCIES:
                cell = Cell(name, concurrency)
                for _ in range(rounds):
                    for side in SIDES:
                        taken = ledger._turns(
                            workers, side=side, wallets=pairs, concurrency=concurrency, seconds=seconds
                        )
                        cell.taken[side] += taken
                        cell.rates[side].append(len(taken) / seconds)
                print(_line(cell), flush=True)
                cells.append(cell)
        problems = ledger._ask(workers[0], {"do": "check"})
    for cell in cells:
        if cell.ratio() < AIM:
            print(
                f"missed: {cell.name} x{cell.concurrency} is {cell.ratio():.2f} of its floor, aimed at {AIM}"
            )
    for problem in problems:
        print(f"WRONG: {problem}")
    if not problems:
        print("every wallet is what the books say, and what is locked is what settlements hold")
    if report_path:
        report_path.write_text(json.dumps([ledger._told(cell) for cell in cells], indent=2) + "\n")
    return 1 if problems else 0


@contextlib.contextmanager
def _workers(here: world.World) -> Iterator[list["subprocess.Popen[str]"]]:
    environment: dict[str, Any] = here.environment | {"RUNS_FLOOR_URL": here.admin_url}
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.runs_worker"],
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


def _line(cell: Cell) -> str:
    slow = {side: [cell.percentile_ms(side, share) for share in (0.5, 0.99)] for side in SIDES}
    return (
        f"{cell.name:16} x{cell.concurrency:<3} floor {cell.rate('floor'):7,.0f} runs/s"
        f"  ours {cell.rate('ours'):7,.0f}  ratio {cell.ratio():5.2f}  p50/p99"
        f" {slow['ours'][0]:.1f}/{slow['ours'][1]:.1f} ms"
        f" (floor {slow['floor'][0]:.1f}/{slow['floor'][1]:.1f})"
    )
