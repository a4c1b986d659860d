"""The cells of a run: each kind of request at each concurrency, product and floor turn about."""

import dataclasses
import json
import statistics
from collections.abc import Callable

from tests.bench import load, rows, scenarios
from tests.bench.load import Outcome, Prepared, request_bytes
from tests.bench.scenarios import HOT, SPREAD, Pool
from tests.bench.world import World

Cell = tuple[str, int]
FLOOR_BODY = json.dumps({"tenant": "floor", "note": "x" * 400}).encode()
MOST_PER_SECOND = 4000


@dataclasses.dataclass(frozen=True)
class Inserts:
    """Rows that one request of the product inserts; the floor inserts as many."""

    enqueue: int
    ingest: int


@dataclasses.dataclass
class Results:
    """Outcomes by kind and concurrency, one per round."""

    cells: dict[Cell, list[Outcome]] = dataclasses.field(default_factory=dict)

    def add(self, kind: str, concurrency: int, outcome: Outcome) -> None:
        self.cells.setdefault((kind, concurrency), []).append(outcome)

    def rate(self, kind: str, concurrency: int) -> float:
        return statistics.median(outcome.rate for outcome in self.cells[kind, concurrency])

    def percentile_ms(self, kind: str, concurrency: int, share: float) -> float:
        merged = Outcome(latencies=[one for o in self.cells[kind, concurrency] for one in o.latencies])
        return merged.percentile_ms(share)

    def ratio(self, kind: str, floor: str, concurrency: int) -> float:
        """Compare round by round, so that what slows the machine for a while slows both."""
        pairs = zip(self.cells[kind, concurrency], self.cells[floor, concurrency], strict=True)
        return statistics.median(ours.rate / theirs.rate for ours, theirs in pairs)

    @property
    def concurrencies(self) -> list[int]:
        return sorted({concurrency for _, concurrency in self.cells})


@dataclasses.dataclass
class Bench:
    """One run's material: what is left to enqueue, and how long a cell lasts."""

    world: World
    spread: Pool
    hot: Pool
    inserts: Inserts
    seconds: float
    read: Prepared
    replay: Prepared

    def measure(self, kind: str, concurrency: int) -> Outcome:
        """Run one cell; a wrong answer raises."""
        return _KINDS[kind](self, concurrency)

    def rounds(self, kinds: list[str], concurrencies: list[int], *, rounds: int) -> Results:
        results = Results()
        for _ in range(rounds):
            for concurrency in concurrencies:
                for kind in kinds:
                    results.add(kind, concurrency, self.measure(kind, concurrency))
        return results

    def _product(self, prepared: Prepared, concurrency: int, *, name: str, status: int) -> Outcome:
        outcome = load.run(self.world.product_port, prepared, concurrency=concurrency, seconds=self.seconds)
        scenarios.require_right(name, outcome, statuses={status})
        return outcome

    def _floor(self, prepared: Prepared, concurrency: int) -> Outcome:
        return load.run(self.world.floor_port, prepared, concurrency=concurrency, seconds=self.seconds)


def _enqueue(bench: Bench, concurrency: int, pool: Pool, name: str) -> Outcome:
    prepared = pool.next(int(bench.seconds * MOST_PER_SECOND))
    outcome = bench._product(prepared, concurrency, name=name, status=201)
    pool.spend(outcome)
    return outcome


def _ingest(bench: Bench, concurrency: int) -> Outcome:
    waiting = scenarios.initiated(
        bench.world, tenants=[*SPREAD, HOT], limit=int(bench.seconds * MOST_PER_SECOND)
    )
    prepared = scenarios.ingest_requests(bench.world, waiting)
    return bench._product(prepared, concurrency, name="ingest", status=200)


def _floor_writes(how: str, count_of: Callable[[Inserts], int]) -> Callable[[Bench, int], Outcome]:
    def measure(bench: Bench, concurrency: int) -> Outcome:
        path = f"/{how}/{count_of(bench.inserts)}"
        request = request_bytes("POST", path, headers={}, content=FLOOR_BODY)
        return bench._floor(Prepared([request], repeats=True), concurrency)

    return measure


def _floor_read(bench: Bench, concurrency: int) -> Outcome:
    requests = [request_bytes("GET", f"/rows/row{number}", headers={}) for number in range(2000)]
    return bench._floor(Prepared(requests, repeats=True), concurrency)


def _rows(bench: Bench, concurrency: int) -> Outcome:
    return rows.run(
        bench.world.floor_url,
        inserts=bench.inserts.enqueue,
        connections=min(concurrency, bench.world.workers),
        seconds=bench.seconds,
    )


_KINDS: dict[str, Callable[[Bench, int], Outcome]] = {
    "enqueue": lambda bench, concurrency: _enqueue(bench, concurrency, bench.spread, "enqueue"),
    "floor view, same inserts": _floor_writes("sql", lambda inserts: inserts.enqueue),
    "enqueue, one cap": lambda bench, concurrency: _enqueue(bench, concurrency, bench.hot, "hot enqueue"),
    "floor view, by ORM": _floor_writes("orm", lambda inserts: inserts.enqueue),
    "signed ingest": _ingest,
    "floor view, ingest's inserts": _floor_writes("sql", lambda inserts: inserts.ingest),
    "read": lambda bench, concurrency: bench._product(bench.read, concurrency, name="read", status=200),
    "floor view, read": _floor_read,
    "replay": lambda bench, concurrency: bench._product(bench.replay, concurrency, name="replay", status=201),
    "psycopg, same inserts": _rows,
}
KINDS = list(_KINDS)
