"""The month close against its floor: the bare SQL that reads the same rows for the same sums and digests.

`python -m tests.bench --close [--quick]`: months of 100k and, unless quick, of a million entries. The floor
writes nothing: what the close costs beyond it are its documents. Judged are the ratio, how it grows, memory.
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
from tests.bench import close_rows, world

AIM = 3.0
ROUNDS = {100_000: 3, 1_000_000: 1}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One size: seconds of floor and close, medians of the rounds; whether both came to the same figures."""

    size: int
    floor_seconds: float
    seconds: float
    grown_mb: float
    statements: int
    written_mb: float
    is_right: bool

    @property
    def ratio(self) -> float:
        return self.seconds / self.floor_seconds

    def line(self) -> str:
        return (
            f"close {self.size:>9,} entries  floor {self.floor_seconds:7.2f} s  ours {self.seconds:7.2f} s"
            f"  ratio {self.ratio:5.2f}  {self.size / self.seconds:>9,.0f} entries/s"
            f"  {self.statements:,} statements, {self.written_mb:,.0f} MB of documents"
            f"  memory +{self.grown_mb:.0f} MB  {'same digests' if self.is_right else 'WRONG DIGESTS'}"
        )


def main(*, quick: bool, report_path: Path | None = None) -> int:
    """Seed, measure, print; 1 when a close came to other figures than the bare SQL."""
    sizes = [100_000] if quick else [100_000, 1_000_000]
    cells = []
    with world.running(workers=1) as here:
        for size in sizes:
            started = time.monotonic()
            with psycopg.connect(here.admin_url) as connection:
                close_rows.seed(connection, tenant_id=f"close_{size}", size=size)
            here.sql("VACUUM ANALYZE")
            here.sql("CHECKPOINT")
            print(f"seeded {size:,} in {time.monotonic() - started:.0f} s", flush=True)
            cells.append(Cell(**_measure(here, size)))
            print(cells[-1].line(), flush=True)
    for cell in cells:
        if not cell.is_right:
            print(f"WRONG: the close of {cell.size:,} entries differs from the bare SQL")
        if cell.ratio > AIM:
            print(f"missed: {cell.size:,} entries are {cell.ratio:.2f} times their floor, aimed at {AIM}")
    if len(cells) > 1:
        growth = (cells[-1].seconds / cells[0].seconds) / (cells[-1].size / cells[0].size)
        print(f"time per entry at {cells[-1].size:,} against {cells[0].size:,}: {growth:.2f}")
    if report_path:
        told = [dataclasses.asdict(cell) | {"ratio": cell.ratio} for cell in cells]
        report_path.write_text(json.dumps(told, indent=2) + "\n")
    return 0 if all(cell.is_right for cell in cells) else 1


def _measure(here: world.World, size: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.close_worker", f"close_{size}", str(size), str(ROUNDS[size])],
        env=here.environment,
        cwd=commands.CHECKOUT,
        text=True,
        capture_output=True,
    )
    if done.returncode:
        raise RuntimeError(f"the worker failed:\n{done.stdout}\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
