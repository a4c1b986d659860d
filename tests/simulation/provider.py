"""The real Stripe simulator in this process: the product's own client reaches it by a function call."""

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import SplitResult, unquote

from settld.stripe_gateway import calls, circuit, client
from settld.stripe_gateway.circuit import ProcessMemory
from settld.stripe_gateway.transport import Answer, Transport
from settld.stripe_simulator import api
from settld.stripe_simulator.control import door
from settld.stripe_simulator.webhooks import queue
from settld.stripe_simulator.webhooks.courier import Courier
from settld.stripe_simulator.wire import Answer as Answered
from settld.stripe_simulator.wire import Hang, Request
from settld.stripe_simulator.world import Settings, World
from tests.simulation.fates import Fates
from tests.simulation.timeline import Timeline

INTAKE = "/api/billing/webhooks/stripe"
SECRET = "whsec_simulation"
TOTAL_SECONDS = 20.0
_TRANSFERS = """
SELECT json_extract(body, '$.id'), json_extract(body, '$.metadata.settld_operation_id'),
  json_extract(body, '$.metadata.settld_tenant_id'), json_extract(body, '$.amount'),
  json_extract(body, '$.amount_reversed'), json_extract(body, '$.destination'),
  json_extract(body, '$.metadata.settld_provider_id')
FROM objects WHERE kind = 'transfer' ORDER BY seq
"""


class Provider:
    """One simulated Stripe, its post and what we know that the product may not."""

    def __init__(self, *, folder: Path, seed: int, timeline: Timeline, fates: Fates) -> None:
        self.world = World(directory=folder, seed=seed, settings=Settings())
        self.fates = fates
        self.timeline = timeline
        self.courier = Courier(world=self.world, workers=0)
        self.foreign: set[str] = set()
        self.sends: list[str] = []  # tenants whose transfer was asked for, in order
        timeline.follow(self._set_clock)
        self.control("POST", "/_sim/webhook_endpoints", url=f"http://127.0.0.1:9{INTAKE}", secret=SECRET)

    def _set_clock(self, now: dt.datetime) -> None:
        self.world.clock.freeze(int(now.timestamp()))

    def control(self, method: str, path: str, /, **body: Any) -> Any:
        """Use the control door; a refusal gives its text."""
        request = Request(method=method, path=path, query="", headers={}, body=json.dumps(body).encode())
        return json.loads(door.answer(self.world, request).body)

    def exchange(self, method: str, url: SplitResult, headers: dict[str, str], body: str | None) -> Answer:
        """Stand in for the socket: an answer, a reset, or silence until the caller's time is over."""
        self.fates.require_alive()
        request = Request(
            method=method,
            path=unquote(url.path),
            query=url.query,
            headers={name.lower(): value for name, value in headers.items()},
            body=(body or "").encode(),
        )
        if method == "POST" and request.path == "/v1/transfers":
            self.sends.append(request.body.decode())
        outcome = api.answer(self.world, request)
        if isinstance(outcome, Answered):
            return Answer(outcome.status, outcome.headers, outcome.body)
        if isinstance(outcome, Hang):
            self.timeline.pass_by(TOTAL_SECONDS)
            raise TimeoutError("the answer took too long")
        raise ConnectionResetError("reset by peer")

    # --- What it has -----------------------------------------------------------------------------------
    def transfers(self) -> list[dict[str, Any]]:
        """Every transfer, the oldest first."""
        names = ("id", "operation", "tenant", "amount", "reversed", "destination", "provider")
        rows = self.world.store.execute(_TRANSFERS).fetchall()
        return [dict(zip(names, row, strict=True)) for row in rows]

    # --- Its post --------------------------------------------------------------------------------------
    def letters(self) -> list[queue.Due]:
        """What waits to be delivered, the oldest first; real time plays no part here."""
        rows = self.world.store.execute(
            "SELECT id, event_id, endpoint_id, url, attempts FROM deliveries "
            "WHERE status = 'pending' ORDER BY id"
        ).fetchall()
        return [
            queue.Due(
                delivery_id=row[0], event_id=row[1], endpoint_id=row[2], url=row[3], attempts=row[4],
                generation=self.world.generation,
            )
            for row in rows
        ]  # fmt: skip

    def sealed(self, letter: queue.Due) -> tuple[bytes, dict[str, str]]:
        """Body and signed headers of a letter."""
        found = self.courier._letter(letter)
        assert not isinstance(found, str), found
        return found

    def note_delivery(self, letter: queue.Due, *, status: int | None) -> None:
        """Write down the receiver's answer; None is none."""
        with self.world.transaction():
            queue.report(self.world, letter, status=status, error=None if status else "no answer")

    def lose(self, letter: queue.Due) -> None:
        """Never deliver it."""
        with self.world.transaction():
            self.world.store.execute(
                "UPDATE deliveries SET status = 'dropped' WHERE id = ?", (letter.delivery_id,)
            )

    def find_lost(self) -> int:
        """Send again what was lost, as somebody at the provider's dashboard would."""
        with self.world.transaction():
            sql = "UPDATE deliveries SET status = 'pending' WHERE status IN ('dropped', 'failed', 'held')"
            return int(self.world.store.execute(sql).rowcount)

    def has_faults(self) -> bool:
        return bool(self.world.faults.rules) or self.world.faults.chaos is not None


class VirtualMemory(ProcessMemory):
    """The circuit's shared state, in virtual time; the dead do not reach it."""

    def __init__(self, timeline: Timeline, fates: Fates) -> None:
        super().__init__()
        self.timeline = timeline
        self.fates = fates

    def take_probe(self, name: str, *, for_ms: int) -> bool:
        now = self.timeline.now.timestamp()
        if self.probes.get(name, 0.0) > now:
            return False
        self.probes[name] = now + for_ms / 1000
        return True

    def give_probe_back(self, name: str) -> None:
        self.fates.require_alive()
        super().give_probe_back(name)


@contextlib.contextmanager
def connected(provider: Provider, jitter: Random) -> Iterator[None]:
    """Have the product's Stripe client speak to this provider for the block."""

    class Wire(Transport):
        def _exchange(
            self, method: str, url: SplitResult, headers: dict[str, str], body: str | None
        ) -> Answer:
            return provider.exchange(method, url, headers, body)

    memory = VirtualMemory(provider.timeline, provider.fates)
    changed = [
        (client, "Transport", Wire),
        (calls, "pause", provider.timeline.pass_by),
        (calls, "random", jitter),
        (circuit, "_memory", lambda _url: memory),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in changed]
    for module, name, value in changed:
        setattr(module, name, value)
    client._connect.cache_clear()
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
        client._connect.cache_clear()
        with provider.world.lock:
            provider.world.store.close()
