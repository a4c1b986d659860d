"""Reconciliation against its floor: the bare full outer join of the same rows, in the same run.

`python -m tests.bench --reconcile [--million]`: 10k and 100k payouts (and 1M) against as many provider
rows, one in two hundred differing. What is judged are ratios, how they grow, and memory.
"""

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg

from settld.launcher import commands
from tests.bench import reconcile_rows, world

AIM = 3.0
ROUNDS = {10_000: 9, 100_000: 7, 1_000_000: 3}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One comparison at one size: seconds of the floor and ours, medians of the rounds, and the spread."""

    side: str
    size: int
    floor_seconds: float
    seconds: float
    ratios: list[float]
    rows_found: int
    grown_mb: float

    @property
    def ratio(self) -> float:
        """Give the median of the rounds' own ratios: each was held against the floor beside it."""
        ordered = sorted(self.ratios)
        return ordered[len(ordered) // 2]

    def line(self) -> str:
        spread = f"{min(self.ratios):.2f}-{max(self.ratios):.2f}"
        return (
            f"{self.side:9} {self.size:>9,}  floor {self.floor_seconds * 1000:8.0f} ms  ours"
            f" {self.seconds * 1000:8.0f} ms  ratio {self.ratio:5.2f} ({spread})  {self.rows_found:>6,} rows"
            f"  memory +{self.grown_mb:.0f} MB"
        )


def main(*, million: bool, report_path: Path | None = None) -> int:
    """Seed, measure, print; 1 when a comparison found other than what was seeded."""
    sizes = [10_000, 100_000, *([1_000_000] if million else [])]
    cells: list[Cell] = []
    with world.running(workers=1) as here:
        for size in sizes:
            started = time.monotonic()
            with psycopg.connect(here.admin_url) as connection:
                reconcile_rows.seed(connection, tenant_id=f"rec_{size}", size=size)
            here.sql("VACUUM ANALYZE")
            here.sql("CHECKPOINT")
            print(f"seeded {size:,} in {time.monotonic() - started:.0f} s", flush=True)
            for found in _measure(here, size):
                cells.append(Cell(**found))
                print(cells[-1].line(), flush=True)
    problems = [cell for cell in cells if cell.rows_found != reconcile_rows.expected(cell.size)]
    for cell in problems:
        print(f"WRONG: {cell.side} {cell.size:,} found {cell.rows_found:,} rows")
    for cell in cells:
        if cell.ratio > AIM:
            print(f"missed: {cell.side} {cell.size:,} is {cell.ratio:.2f} times its floor, aimed at {AIM}")
    if report_path:
        told = [dataclasses.asdict(cell) | {"ratio": cell.ratio} for cell in cells]
        report_path.write_text(json.dumps(told, indent=2) + "\n")
    return 1 if problems else 0


def _measure(here: world.World, size: int) -> list[dict[str, Any]]:
    """Run both comparisons and their floors in a process of the product's own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.reconcile_worker", f"rec_{size}", str(size), str(ROUNDS[size])],
        env=here.environment,
        cwd=commands.CHECKOUT,
        text=True,
        capture_output=True,
    )
    if done.returncode:
        raise RuntimeError(f"the worker failed:\n{done.stdout}\n{done.stderr}")
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found
