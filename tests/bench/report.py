"""The table that a run prints, the aims it is judged by, and the JSON it leaves."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from tests.bench.counting import Counts
from tests.bench.measuring import KINDS, Results

JUDGED_AT = 16
_TAIL_BESIDE = {
    "signed ingest": "floor view, ingest's inserts",
    "read": "floor view, read",
    "replay": "floor view, read",
}


@dataclasses.dataclass(frozen=True)
class Aim:
    """A ratio and what it should be."""

    name: str
    value: float
    bound: float
    is_ceiling: bool = False
    floor: float | None = None  # what the bare view reached: how much of it is the machine's

    @property
    def is_met(self) -> bool:
        return self.value <= self.bound if self.is_ceiling else self.value >= self.bound


def ratios(results: Results) -> list[tuple[str, str, str]]:
    """Which kind is held against which."""
    pairs = [
        ("enqueue / bare view with the same inserts", "enqueue", "floor view, same inserts"),
        ("enqueue / bare view by the ORM", "enqueue", "floor view, by ORM"),
        ("enqueue / psycopg alone", "enqueue", "psycopg, same inserts"),
        ("ingest / bare view with the same inserts", "signed ingest", "floor view, ingest's inserts"),
        ("read / bare read", "read", "floor view, read"),
        ("replay / bare read", "replay", "floor view, read"),
        ("one cap / spread caps", "enqueue, one cap", "enqueue"),
    ]
    have = {kind for kind, _ in results.cells}
    return [pair for pair in pairs if pair[1] in have and pair[2] in have]


def aims(results: Results, *, flat: dict[str, float]) -> list[Aim]:
    """Judge at concurrency 16 what the project set itself."""
    floors = {
        "enqueue / bare view with the same inserts": 0.5,
        "ingest / bare view with the same inserts": 0.5,
        "read / bare read": 0.6,
        "one cap / spread caps": 0.9,
    }
    found = [
        Aim(name, results.ratio(ours, theirs, JUDGED_AT), floors[name])
        for name, ours, theirs in ratios(results)
        if name in floors
    ]
    for kind in ("enqueue", "enqueue, one cap", "signed ingest", "read", "replay"):
        tail = results.percentile_ms(kind, JUDGED_AT, 0.99) / results.percentile_ms(kind, JUDGED_AT, 0.5)
        bare = _TAIL_BESIDE.get(kind, "floor view, same inserts")
        bare_tail = results.percentile_ms(bare, JUDGED_AT, 0.99) / results.percentile_ms(bare, JUDGED_AT, 0.5)
        found.append(Aim(f"{kind}: p99 / p50", tail, 2.5, is_ceiling=True, floor=bare_tail))
    found += [
        Aim(f"{kind}: empty / full database", value, 1.1, is_ceiling=True) for kind, value in flat.items()
    ]
    return found


def show(results: Results, counts: Counts, found: list[Aim], notes: list[str]) -> str:
    """Write everything for a terminal."""
    lines = [f"{'':34}" + "".join(f"{f'at {c}':>28}" for c in results.concurrencies)]
    lines.append(f"{'':34}" + f"{'per second  p50/p95/p99 ms':>28}" * len(results.concurrencies))
    for kind in KINDS:
        cells = []
        for concurrency in results.concurrencies:
            tail = "/".join(
                f"{results.percentile_ms(kind, concurrency, share):.1f}" for share in (0.5, 0.95, 0.99)
            )
            cells.append(f"{results.rate(kind, concurrency):>11,.0f} {tail:>16}")
        lines.append(f"{kind:34}" + "".join(cells))
    lines += ["", f"{'ratio':44}" + "".join(f"{f'at {c}':>9}" for c in results.concurrencies)]
    for name, ours, theirs in ratios(results):
        cells = [f"{results.ratio(ours, theirs, concurrency):>9.2f}" for concurrency in results.concurrencies]
        lines.append(f"{name:44}" + "".join(cells))
    lines += ["", "round trips to PostgreSQL per request"]
    lines += [f"  {kind:20}{trips:g}" for kind, trips in counts.round_trips.items()]
    lines.append(f"rows inserted: enqueue {counts.inserts.enqueue}, ingest {counts.inserts.ingest}")
    lines += ["", "right at any concurrency", *(f"  {note}" for note in notes)]
    lines += ["", f"aims at {JUDGED_AT} at once"]
    for aim in found:
        relation = "<=" if aim.is_ceiling else ">="
        verdict = "met" if aim.is_met else "MISSED"
        beside = "" if aim.floor is None else f"  (bare view: {aim.floor:.2f})"
        lines.append(f"  {aim.name:44}{aim.value:>7.2f}  {relation} {aim.bound:<5}{verdict}{beside}")
    return "\n".join(lines)


def write(
    path: Path, results: Results, counts: Counts, found: list[Aim], notes: list[str], **more: Any
) -> None:
    """Leave everything as JSON for a machine."""
    cells = [
        {
            "kind": kind,
            "concurrency": concurrency,
            "perSecond": round(results.rate(kind, concurrency), 1),
            "count": sum(len(outcome.latencies) for outcome in outcomes),
            **{
                f"p{round(share * 100)}Ms": round(results.percentile_ms(kind, concurrency, share), 3)
                for share in (0.5, 0.95, 0.99)
            },
        }
        for (kind, concurrency), outcomes in results.cells.items()
    ]
    report = {
        "cells": cells,
        "ratios": {
            name: {str(c): round(results.ratio(ours, theirs, c), 4) for c in results.concurrencies}
            for name, ours, theirs in ratios(results)
        },
        "roundTrips": counts.round_trips,
        "inserts": dataclasses.asdict(counts.inserts),
        "aims": [dataclasses.asdict(aim) | {"isMet": aim.is_met} for aim in found],
        "notes": notes,
        **more,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
