"""What one checkout start and one event of each kind cost: round trips, and rows inserted and changed.

Counted from outside on a server with one worker: round trips by a proxy before PostgreSQL, rows by
PostgreSQL's own statistics, which a connection hands over a second after the last time at the earliest.
"""

import dataclasses
import statistics
import time
from collections.abc import Mapping

from tests.bench import billing_shop as shop
from tests.bench import load, roundtrips, scenarios
from tests.bench.load import Prepared
from tests.bench.world import World, socket_url

WARM, COUNTED = 7, 6  # a statement is prepared from its sixth use on


@dataclasses.dataclass(frozen=True)
class Cost:
    """Medians of one kind of request; rows are means over all of its requests, rounded."""

    round_trips: float
    inserts: int
    updates: int


def count(world: World, names: list[str], extra: Mapping[str, str]) -> dict[str, Cost]:
    """Send a few requests of each kind one by one; uses up some of the workspaces `names`."""
    folder = world.home.root / "proxy"
    real_port = world.product_port
    with roundtrips.counting(server=world.postgres.sockets, folder=folder) as counter:
        given = dict(extra) | {"DATABASE_URL": socket_url(folder, world)}
        with world.product(workers=1, **given) as port:
            world.product_port = port
            try:
                return _count(world, names, counter)
            finally:
                world.product_port = real_port


def _count(world: World, names: list[str], counter: roundtrips.Counter) -> dict[str, Cost]:
    chosen = [names.pop() for _ in range(WARM + COUNTED)]
    begun = [shop.checkout_request(world, name, key=f"count-{name}") for name in chosen]
    costs = {
        "checkout": _each(world, begun, counter, status=200),
        "checkout replay": _each(world, begun, counter, status=200),
    }
    paid = shop.started(world, limit=len(chosen))
    for step in shop.STEPS:
        told = shop.deliveries(paid, steps=[step])
        costs[step] = _each(world, shop.webhook_requests(world, told), counter, status=200)
    again = [dataclasses.replace(one, kind="duplicate") for one in told]
    costs["duplicate"] = _each(world, shop.webhook_requests(world, again), counter, status=200)
    forged = [dataclasses.replace(one, kind="bad") for one in told]
    costs["bad"] = _each(world, shop.webhook_requests(world, forged), counter, status=400)
    return costs


def _each(world: World, requests: list[bytes], counter: roundtrips.Counter, *, status: int) -> Cost:
    before = _written(world)
    trips = []
    for request in requests:
        counter.take()
        outcome = load.run(world.product_port, Prepared([request]), concurrency=1, seconds=10)
        scenarios.require_right("counting", outcome, statuses={status})
        trips.append(counter.take())
    inserted, updated = (after - then for after, then in zip(_written(world), before, strict=True))
    share = len(requests)
    return Cost(statistics.median(trips[WARM:]), round(inserted / share), round(updated / share))


def _written(world: World) -> tuple[int, int]:
    """Rows inserted and changed so far, once the product's connection has told of all of them."""
    time.sleep(1.2)
    scenarios.call(world, "GET", "/api/billing/plans", shop.HOT, None)
    time.sleep(0.1)
    ((inserted, updated),) = world.sql("SELECT sum(n_tup_ins), sum(n_tup_upd) FROM pg_stat_user_tables")
    return int(str(inserted)), int(str(updated))
