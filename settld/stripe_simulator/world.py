"""Everything the simulator knows, behind one lock."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from settld.stripe_simulator.access import RateLimit
from settld.stripe_simulator.clock import Clock
from settld.stripe_simulator.faults import Faults
from settld.stripe_simulator.idempotency import IdempotencyKeys
from settld.stripe_simulator.ids import Ids, render
from settld.stripe_simulator.log import EventLog
from settld.stripe_simulator.store import Store
from settld.stripe_simulator.webhooks.rules import DeliveryRules
from settld.stripe_simulator.wire import Json

API_VERSION = "2026-10-28.endive"
PLENTY = 100_000_000_000_00


@dataclass(kw_only=True)
class Settings:
    """What the command line sets and the control door changes; a restart or reset begins from the former."""

    rate_limit_per_second: int = 0
    api_version: str = API_VERSION
    default_balance: int = PLENTY
    webhook_retry_initial_ms: int = 500
    webhook_retry_max_ms: int = 60_000
    webhook_max_attempts: int = 0
    webhook_timeout_ms: int = 10_000
    allow_remote_webhooks: bool = False
    after_failed_retries: str = "canceled"
    billing_mode: str = "flexible"
    most_due_at_once: int = 5_000


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The call that an event came from; empty for what the provider did by itself."""

    request_id: str | None = None
    idempotency_key: str | None = None


PROVIDER = Origin()


@dataclass(frozen=True, kw_only=True)
class Call:
    """One API call, decoded: what a resource's endpoint gets."""

    method: str
    path: str
    form: Json
    origin: Origin
    account: str | None = None
    names: dict[str, str] = field(default_factory=dict)


class World:
    """State shared by all threads. Read and write it only inside `lock`, write it inside `transaction()`.

    `generation` counts resets: whoever waited without the lock compares it and gives up when it moved.
    `base_url` is where browsers find the pages; the server sets it when it knows its port. `held_events` are
    events that have happened and are not to be told yet (see resources.events).
    """

    def __init__(self, *, directory: Path, seed: int, settings: Settings) -> None:
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.deliveries_due = threading.Event()
        self.generation = 0
        self.base_url = "http://127.0.0.1"
        self.held_events: list[Json] | None = None
        self.first_seed = seed
        self.first_settings = settings
        self.store = Store(path=directory / "simulator.sqlite3")
        with self.store.transaction():
            if self.store.setting("seed") is None:
                self.store.keep_setting("seed", seed)
        self._build()

    def _build(self) -> None:
        self.seed = int(self.store.setting("seed"))
        self.settings = Settings(**vars(self.first_settings))
        self.clock = Clock.restore(self.store.setting("clock"))
        self.ids = Ids(store=self.store, seed=self.seed)
        self.log = EventLog(store=self.store, clock=self.clock)
        self.idempotency_keys = IdempotencyKeys(store=self.store, clock=self.clock)
        self.faults = Faults(seed=self.seed)
        self.delivery_rules = DeliveryRules(seed=self.seed)
        self.rate_limit = RateLimit(per_second=self.settings.rate_limit_per_second)

    @property
    def platform_account_id(self) -> str:
        return render(seed=self.seed, prefix="acct", number=0)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self.lock, self.store.transaction():
            yield

    def reset(self, *, seed: int | None) -> None:
        """Forget everything. Calls that wait or hang are dropped without an effect."""
        with self.lock:
            with self.store.transaction():
                self.store.clear()
                self.store.keep_setting("seed", self.first_seed if seed is None else seed)
            self.generation += 1
            self._build()

    def set_clock(self, clock: Clock) -> None:
        """Takes over the other clock's time; everyone who holds ours sees it."""
        self.store.keep_setting("clock", clock.state())
        vars(self.clock).update(clock.state())

    def pause(self, seconds: float, *, generation: int) -> bool:
        """Wait without the lock. False: the world stopped or was reset meanwhile."""
        step = 0.05
        while seconds > 0 and generation == self.generation:
            if self.stopping.wait(min(step, seconds)):
                return False
            seconds -= step
        return generation == self.generation
