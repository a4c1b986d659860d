"""The mismatch queue against its floor: a bare `SELECT ... LIMIT` of the same rows, in the same run.

`python -m tests.bench --queue [--million]`: 10k open cases (and 100k, and 1M). What is judged are ratios:
a page of the queue beside the bare select, deep in the list as well as at its beginning, and the whole
console page at the largest size beside the same page at 10k.
"""

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from settld.launcher import commands
from tests.bench import world

PAGE_AIM = 4.0
GROWTH_AIM = 2.5
TENANT = "queue_{size}"
_SEED = """
INSERT INTO mismatch (id, tenant_id, triage_key, source_type, period, provider_id, mismatch_type,
  mismatch_key, mismatch_code, severity, details, mismatch_hash, last_report_hash, first_seen_at,
  last_seen_at, triage_owner)
SELECT gen_random_uuid(), %s, 'frt_202601_' || substr(md5(n::text), 1, 24), 'money_rails_reconcile',
  '2026-' || lpad((n %% 12 + 1)::text, 2, '0'), 'bench_bank',
  (ARRAY['missing_operation', 'amount_mismatch', 'terminal_failure', 'unexpected_operation'])[n %% 4 + 1],
  'mop_' || n, 'MONEY_RAIL_X', (ARRAY['critical', 'high', 'medium', 'low'])[n %% 4 + 1],
  jsonb_build_object('operationId', 'mop_' || n, 'payoutKey', repeat('k', 120), 'amountCents', n,
    'currency', 'USD'),
  md5(n::text), repeat('a', 64), now() - n * interval '1 second', now(),
  CASE WHEN n %% 3 = 0 THEN 'person:' || n %% 9 ELSE '' END
FROM generate_series(1, %s) AS n
"""


@dataclasses.dataclass(frozen=True)
class Cell:
    """Medians in milliseconds at one size."""

    size: int
    floor: float
    first_page: float
    deep_page: float
    counts: float
    console: float
    console_queries: int

    @property
    def ratio(self) -> float:
        """Hold the deepest page against the bare select."""
        return max(self.first_page, self.deep_page) / self.floor

    def line(self) -> str:
        return (
            f"queue {self.size:>9,}  floor {self.floor:6.2f} ms  page {self.first_page:6.2f} ms"
            f"  deep {self.deep_page:6.2f} ms  ratio {self.ratio:5.2f}  counts {self.counts:7.2f} ms"
            f"  console {self.console:7.2f} ms ({self.console_queries} queries)"
        )


def main(*, million: bool, report_path: Path | None = None) -> int:
    """Seed, measure, print; 1 when the console asks more often of a long queue than of a short one."""
    cells = []
    with world.running(workers=1) as here:
        for size in [10_000, *([100_000, 1_000_000] if million else [])]:
            started = time.monotonic()
            here.sql(_SEED, TENANT.format(size=size), size)
            here.sql("VACUUM ANALYZE mismatch")
            here.sql("CHECKPOINT")
            print(f"seeded {size:,} in {time.monotonic() - started:.0f} s", flush=True)
            cells.append(Cell(size=size, **_measure(here, size)))
            print(cells[-1].line(), flush=True)
    first, last = cells[0], cells[-1]
    for cell in cells:
        if cell.ratio > PAGE_AIM:
            print(f"missed: {cell.size:,} is {cell.ratio:.2f} times its floor, aimed at {PAGE_AIM}")
    growth = max(last.first_page, last.deep_page) / max(first.first_page, first.deep_page)
    print(f"a page at {last.size:,} costs {growth:.2f} times one at {first.size:,}, aimed at {GROWTH_AIM}")
    if report_path:
        told = [dataclasses.asdict(cell) | {"ratio": cell.ratio} for cell in cells]
        report_path.write_text(json.dumps(told, indent=2) + "\n")
    # A queue that is too long to count takes one query more, whatever its length.
    return 1 if last.console_queries > first.console_queries + 1 else 0


def _measure(here: world.World, size: int) -> dict[str, Any]:
    """Measure in a process of the product's own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.queue_worker", TENANT.format(size=size)],
        env=here.environment,
        cwd=commands.CHECKOUT,
        text=True,
        capture_output=True,
    )
    if done.returncode:
        raise RuntimeError(f"the worker failed:\n{done.stdout}\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
