"""The tables that a run of checkout billing prints, and the JSON it leaves."""

import dataclasses
import json
from pathlib import Path
from typing import Any, Final

from tests.bench.billing_counting import Cost
from tests.bench.measuring import Results

CHECKOUT: Final = "checkout, spread"
HOT_CHECKOUT: Final = "checkout, one entity"
CHECKOUT_FLOOR: Final = "bare view, a checkout's writes"
EVENTS: Final = "events, spread"
EVENTS_FLOOR: Final = "bare view, the events' writes"
HOT_EVENTS: Final = "events, one entity"
HOT_EVENTS_FLOOR: Final = "bare view, that entity's writes"
OFFERED: Final = "events, offered"
OFFERED_FLOOR: Final = "bare view, offered"
PAIRS: Final = (
    (CHECKOUT, CHECKOUT_FLOOR),
    (HOT_CHECKOUT, CHECKOUT_FLOOR),
    (EVENTS, EVENTS_FLOOR),
    (HOT_EVENTS, HOT_EVENTS_FLOOR),
    (OFFERED, OFFERED_FLOOR),
)
SHARES: Final = (0.5, 0.95, 0.99)


@dataclasses.dataclass(frozen=True)
class Call:
    """Calls to the provider and what they took together."""

    seconds: float = 0.0
    count: int = 0

    def __add__(self, other: "Call") -> "Call":
        return Call(self.seconds + other.seconds, self.count + other.count)

    def __sub__(self, other: "Call") -> "Call":
        return Call(self.seconds - other.seconds, self.count - other.count)

    @property
    def mean(self) -> float:
        return self.seconds / self.count if self.count else 0.0


@dataclasses.dataclass(frozen=True)
class Told:
    """What a run has found."""

    results: Results
    costs: dict[str, Cost]
    call: dict[int, Call]
    workers: int
    notes: list[str]
    seconds: float

    def without_call(self, concurrency: int) -> float:
        """The rate of checkouts had the provider taken no time.

        A worker makes one request at a time, so of each worker's seconds those of its calls are left out.
        """
        busy = min(self.workers, concurrency)
        rate = self.results.rate(CHECKOUT, concurrency)
        return busy / max(busy / rate - self.call[concurrency].mean, 1e-9)

    def ratios(self) -> dict[str, dict[str, float]]:
        """Each kind held against its bare view, by concurrency, or by what was offered a second."""
        found: dict[str, dict[str, float]] = {}
        for ours, bare in PAIRS:
            at = sorted(concurrency for kind, concurrency in self.results.cells if kind == ours)
            found[ours] = {str(one): round(self.results.ratio(ours, bare, one), 3) for one in at}
        found[f"{CHECKOUT}, call taken out"] = {
            str(one): round(self.without_call(one) / self.results.rate(CHECKOUT_FLOOR, one), 3)
            for one in sorted(self.call)
        }
        return found


def show(told: Told) -> str:
    """Write everything for a terminal."""
    lines = [f"{'':34}{'at':>5}{'per second':>12}{'p50':>9}{'p95':>9}{'p99':>9}  ms"]
    for (kind, at), _ in told.results.cells.items():
        tail = "".join(f"{told.results.percentile_ms(kind, at, share):>9.1f}" for share in SHARES)
        lines.append(f"{kind:34}{at:>5}{told.results.rate(kind, at):>12,.1f}{tail}")
    lines.append("")
    for concurrency, call in sorted(told.call.items()):
        lines.append(
            f"provider's call at {concurrency:>2}: {call.mean * 1000:.2f} ms;"
            f" without it {told.without_call(concurrency):,.1f} checkouts a second"
        )
    lines += ["", "ratio to the bare view"]
    for kind, ratios in told.ratios().items():
        cells = "".join(f"{f'{ratio:.2f} at {at}':>14}" for at, ratio in ratios.items())
        lines.append(f"  {kind:34}{cells}")
    lines += ["", f"{'':20}{'round trips':>12}{'inserts':>9}{'updates':>9}"]
    for kind, cost in told.costs.items():
        lines.append(f"  {kind:18}{cost.round_trips:>12g}{cost.inserts:>9}{cost.updates:>9}")
    lines += ["", "right at any rate", *(f"  {note}" for note in told.notes)]
    return "\n".join(lines)


def write(path: Path, told: Told) -> None:
    """Leave everything as JSON for a machine."""
    cells: list[dict[str, Any]] = [
        {
            "kind": kind,
            "at": at,
            "perSecond": round(told.results.rate(kind, at), 1),
            "count": sum(len(outcome.latencies) for outcome in outcomes),
            "statuses": {str(s): n for outcome in outcomes for s, n in outcome.statuses.items()},
            **{f"p{round(s * 100)}Ms": round(told.results.percentile_ms(kind, at, s), 3) for s in SHARES},
        }
        for (kind, at), outcomes in told.results.cells.items()
    ]
    report = {
        "cells": cells,
        "ratios": told.ratios(),
        "costs": {kind: dataclasses.asdict(cost) for kind, cost in told.costs.items()},
        "providerCallMs": {str(at): round(call.mean * 1000, 3) for at, call in told.call.items()},
        "workers": told.workers,
        "notes": told.notes,
        "seconds": told.seconds,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
