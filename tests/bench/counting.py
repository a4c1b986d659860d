"""Round trips and inserted rows per request, counted on a server with one worker behind a proxy."""

import dataclasses
import statistics
from collections.abc import Callable

from tests.bench import load, roundtrips, scenarios
from tests.bench.load import Prepared
from tests.bench.measuring import Inserts
from tests.bench.scenarios import SPREAD, Pool
from tests.bench.world import World, socket_url

WARM, COUNTED = 12, 9  # a statement is prepared from its sixth use on


@dataclasses.dataclass(frozen=True)
class Counts:
    """Round trips by kind of request, and the rows that writes insert."""

    round_trips: dict[str, float]
    inserts: Inserts


def count(world: World, spread: Pool) -> Counts:
    """Send a few requests of each kind, one by one, and see what each cost."""
    folder = world.home.root / "proxy"
    real_port = world.product_port
    with roundtrips.counting(server=world.postgres.sockets, folder=folder) as counter:
        with world.product(workers=1, DATABASE_URL=socket_url(folder, world)) as port:
            world.product_port = port
            try:
                return _count(world, spread, counter)
            finally:
                world.product_port = real_port


def _count(world: World, spread: Pool, counter: roundtrips.Counter) -> Counts:
    enqueued = spread.next(WARM + COUNTED)
    spread.at += WARM + COUNTED
    trips, inserted = {}, {}
    trips["enqueue"], inserted["enqueue"] = _each(world, enqueued, counter)
    trips["replay"], _ = _each(world, enqueued, counter)
    operations = scenarios.initiated(world, tenants=SPREAD, limit=WARM + COUNTED)
    trips["read"], _ = _each(world, scenarios.read_requests(world, operations), counter)
    trips["signed ingest"], inserted["ingest"] = _each(
        world, scenarios.ingest_requests(world, operations), counter
    )
    return Counts(trips, Inserts(**{name: round(rows) for name, rows in inserted.items()}))


def _each(world: World, prepared: Prepared, counter: roundtrips.Counter) -> tuple[float, float]:
    costs = []
    before = _rows(world)
    for request in prepared.requests:
        counter.take()
        outcome = load.run(world.product_port, Prepared([request]), concurrency=1, seconds=10)
        scenarios.require_right("counting", outcome, statuses={200, 201})
        costs.append(counter.take())
    inserted = (_rows(world) - before) / len(prepared.requests)
    return statistics.median(costs[WARM:]), inserted


def _rows(world: World) -> int:
    """Count every row of the product's own tables."""
    tables = world.sql(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    total: Callable[[str], str] = lambda name: f'(SELECT count(*) FROM "{name}")'  # noqa: E731
    return int(str(world.sql("SELECT " + " + ".join(total(str(name)) for (name,) in tables))[0][0]))
