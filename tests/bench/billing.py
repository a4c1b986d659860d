"""Checkout billing against its floor: `python -m tests.bench --billing [--quick]`.

Checkouts are started at a provider that answers at once, over many entities and on one, beside a bare view
that writes as many rows; what the call itself took is measured in the same run and taken out. Events come
at 500 a second and as fast as they are taken, a fifth of them twice and a twentieth wrongly signed, beside a
bare view that is asked for the same writes in the same order. Every answer and every row is checked.
"""

import dataclasses
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from settld.launcher.commands import cores
from tests.bench import billing_checks as checks
from tests.bench import billing_counting, billing_provider, billing_report, load, offered, scenarios, world
from tests.bench import billing_shop as shop
from tests.bench.billing_counting import Cost
from tests.bench.billing_report import (
    CHECKOUT,
    CHECKOUT_FLOOR,
    EVENTS,
    EVENTS_FLOOR,
    HOT_CHECKOUT,
    HOT_EVENTS,
    HOT_EVENTS_FLOOR,
    OFFERED,
    OFFERED_FLOOR,
    Call,
)
from tests.bench.billing_shop import Delivery, Started
from tests.bench.load import Outcome, Prepared, request_bytes
from tests.bench.measuring import Results

OFFERED_PER_SECOND = 500
MOST_PER_SECOND = 600
CONCURRENCIES = (1, 16, 64)


@dataclasses.dataclass(frozen=True)
class Size:
    """How long and how much: seconds of a cell, rounds, and entities whose events make one cell."""

    rounds: int
    seconds: float
    entities: int
    offered_entities: int
    hot_events: int


FULL = Size(rounds=3, seconds=2.0, entities=120, offered_entities=300, hot_events=300)
QUICK = Size(rounds=1, seconds=0.6, entities=30, offered_entities=60, hot_events=60)


class Bench:
    """One run's material, and what it has found so far."""

    def __init__(
        self, here: world.World, provider: billing_provider.Provider, names: list[str], size: Size
    ) -> None:
        self.here, self.provider, self.names, self.size = here, provider, names, size
        self.costs: dict[str, Cost] = {}
        self.results = Results()
        self.call: dict[int, Call] = {}
        self.made = self.hot_keys = 0
        self.paid: list[Started] = []

    # --- Checkouts ---------------------------------------------------------------------------------------
    def checkouts(self, concurrency: int, *, seconds: float) -> Outcome:
        """Start checkouts, each for a workspace that never had one."""
        chosen = self.names[-int(seconds * MOST_PER_SECOND) - 64 :]
        prepared = Prepared([shop.checkout_request(self.here, name, key=f"key-{name}") for name in chosen])
        outcome = load.run(self.here.product_port, prepared, concurrency=concurrency, seconds=seconds)
        scenarios.require_right("checkout", outcome, statuses={200})
        del self.names[-len(chosen) :]
        self.made += outcome.statuses[200]
        return outcome

    def hot_checkouts(self, concurrency: int) -> Outcome:
        """Start one-off checkouts of one entity, each under a new key: one at a time gets through."""
        count = int(self.size.seconds * MOST_PER_SECOND) * 4
        keys = [f"hot-{self.hot_keys + number}" for number in range(count)]
        self.hot_keys += count
        prepared = Prepared(
            [shop.checkout_request(self.here, shop.HOT, key=key, is_one_off=True) for key in keys]
        )
        outcome = load.run(
            self.here.product_port, prepared, concurrency=concurrency, seconds=self.size.seconds
        )
        scenarios.require_right("hot checkout", outcome, statuses={200, 409})
        checks.require_in_progress(outcome)
        self.made += outcome.statuses[200]
        return outcome

    def measure_checkouts(self) -> None:
        cost = self.costs["checkout"]
        floor = Prepared([_floor_request(cost)], repeats=True)
        for _ in range(self.size.rounds):
            for concurrency in CONCURRENCIES:
                before = _calls(self.here)
                outcome = self.checkouts(concurrency, seconds=self.size.seconds)
                self.results.add(CHECKOUT, concurrency, outcome)
                self.call[concurrency] = self.call.get(concurrency, Call()) + (_calls(self.here) - before)
                self.results.add(HOT_CHECKOUT, concurrency, self.hot_checkouts(concurrency))
                bare = load.run(
                    self.here.floor_port, floor, concurrency=concurrency, seconds=self.size.seconds
                )
                self.results.add(CHECKOUT_FLOOR, concurrency, bare)

    # --- Events ------------------------------------------------------------------------------------------
    def fresh(self, count: int) -> list[Started]:
        """Checkouts that wait for their payer; some are started where there are not enough."""
        while len(found := shop.started(self.here, limit=count)) < count:
            self.checkouts(16, seconds=1.0)
        self.paid += found
        return found

    def measure_events(self) -> None:
        for number in range(self.size.rounds):
            for concurrency in CONCURRENCIES[1:]:
                good = shop.deliveries(self.fresh(self.size.entities))
                self._full_speed(good, (EVENTS, EVENTS_FLOOR), concurrency, salt=f"{number}_{concurrency}")
        hottest = self.paid[-1]
        good = shop.updates(hottest, count=self.size.hot_events)
        self._full_speed(good, (HOT_EVENTS, HOT_EVENTS_FLOOR), CONCURRENCIES[1], salt="hot")
        good = shop.deliveries(self.fresh(self.size.offered_entities))
        sent = shop.mixed(good, salt="offered")
        ours = Prepared(shop.webhook_requests(self.here, sent))
        outcome = offered.run(self.here.product_port, ours, per_second=OFFERED_PER_SECOND)
        self._require_right(sent, outcome)
        self.results.add(OFFERED, OFFERED_PER_SECOND, outcome)
        bare = offered.run(self.here.floor_port, self._floor_of(sent), per_second=OFFERED_PER_SECOND)
        self.results.add(OFFERED_FLOOR, OFFERED_PER_SECOND, bare)

    def _full_speed(
        self, good: Sequence[Delivery], kinds: tuple[str, str], concurrency: int, *, salt: str
    ) -> None:
        sent = shop.mixed(good, salt=salt)
        ours = Prepared(shop.webhook_requests(self.here, sent))
        outcome = load.run(self.here.product_port, ours, concurrency=concurrency, seconds=600)
        self._require_right(sent, outcome)
        self.results.add(kinds[0], concurrency, outcome)
        bare = load.run(self.here.floor_port, self._floor_of(sent), concurrency=concurrency, seconds=600)
        self.results.add(kinds[1], concurrency, bare)

    def _require_right(self, sent: Sequence[Delivery], outcome: Outcome) -> None:
        bad = sum(one.kind == "bad" for one in sent)
        if outcome.statuses != Counter({200: len(sent) - bad, 400: bad}):
            raise scenarios.Wrong(f"events: {dict(outcome.statuses)} {outcome.bodies}")
        checks.require_taken_once(self.here, sent)

    def _floor_of(self, sent: Sequence[Delivery]) -> Prepared:
        """The writes of each delivery, in the same order; the duplicate of any event costs the same."""
        return Prepared([_floor_request(self.costs[one.kind]) for one in sent])


def main(*, quick: bool, report_path: Path | None = None) -> int:
    """Seed, count, measure, check, print; a wrong answer or row ends the run."""
    began = time.monotonic()
    size = QUICK if quick else FULL
    workers = min(4, cores())
    with world.running(workers=workers) as here, billing_provider.running() as provider, here.logged():
        metrics = here.home.root / "metrics"
        metrics.mkdir(exist_ok=True)
        extra = {
            "PROXY_BILLING_STRIPE_API_BASE_URL": provider.url,
            "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        }
        bench = Bench(here, provider, shop.seed(here, workspaces=3_000 if quick else 20_000), size)
        bench.costs = billing_counting.count(here, bench.names, extra)
        bench.made = billing_counting.WARM + billing_counting.COUNTED
        _say(began, "workspaces are seeded, costs are counted")
        with here.product(**extra) as here.product_port, here.floor() as here.floor_port:
            bench.checkouts(4, seconds=size.seconds)  # warms every worker up
            bench.measure_checkouts()
            _say(began, "checkouts are measured")
            bench.measure_events()
            _say(began, "events are measured")
        notes = [
            checks.checkouts(here, provider, made=bench.made),
            checks.projections(here, bench.paid),
        ]
    told = billing_report.Told(
        bench.results, bench.costs, bench.call, workers, notes, seconds=time.monotonic() - began
    )
    print(billing_report.show(told))
    if report_path:
        billing_report.write(report_path, told)
    return 0


def _floor_request(cost: Cost) -> bytes:
    return request_bytes("POST", f"/writes/{cost.inserts}/{cost.updates}", headers={}, content=b"{}")


def _calls(here: world.World) -> Call:
    """What calls to the provider have taken so far, by the product's own measure, all workers together."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(here.home.root / "metrics"))  # type: ignore[no-untyped-call]
    found = {
        sample.name: sample.value
        for metric in registry.collect()
        if metric.name == "stripe_call_seconds"
        for sample in metric.samples
        if "le" not in sample.labels
    }
    return Call(found.get("stripe_call_seconds_sum", 0.0), int(found.get("stripe_call_seconds_count", 0)))


def _say(began: float, text: str) -> None:
    print(f"[{time.monotonic() - began:6.1f} s] {text}", flush=True)
