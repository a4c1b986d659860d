"""The circuit: after calls in a row that failed, nothing is sent for a while, then one probe.

Its state is in Redis, so that every process stops together; a process that cannot reach Redis keeps
a circuit of its own. Losing the state closes the circuit, which costs a few failing calls, no more.
"""

import datetime as dt
import hashlib
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from settld.settings_parsing import Stripe
from settld.stripe_gateway.metrics import CIRCUIT_OPENED

REDIS_TIMEOUT_SECONDS = 0.5
REDIS_PAUSE_SECONDS = 5.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Permit:
    """Leave to make one call; its holder reports how the call ended."""

    is_probe: bool = False


class CircuitOpen(Exception):
    """Nothing may be sent before an instant."""

    def __init__(self, until: dt.datetime) -> None:
        self.until = until
        super().__init__("the circuit is open")


class Memory(Protocol):
    """Where a circuit's state lives; every method is atomic."""

    def open_until_ms(self, name: str) -> int | None:
        """Give the instant until which the circuit is or was open; None while it is closed."""

    def count_failure(self, name: str) -> int:
        """Count one more failed call in a row."""

    def open(self, name: str, until_ms: int) -> None:
        """Open until an instant, and let the next probe be taken after it."""

    def take_probe(self, name: str, *, for_ms: int) -> bool:
        """Take the one probe; it comes back by itself after for_ms."""

    def give_probe_back(self, name: str) -> None:
        """Let another call be the probe."""

    def reset(self, name: str) -> None:
        """Close, with no failure counted."""


class Circuit:
    """One provider's circuit, named by its address."""

    def __init__(self, *, name: str, threshold: int, open_ms: int, probe_ms: int, memory: Memory) -> None:
        self.name = name
        self.threshold = threshold
        self.open_ms = open_ms
        self.probe_ms = probe_ms
        self.memory = memory

    def enter(self, *, now: dt.datetime) -> Permit:
        """Ask leave to call; raises CircuitOpen while open, or while another call probes."""
        until_ms = self.memory.open_until_ms(self.name)
        if until_ms is None:
            return Permit()
        if _ms(now) < until_ms:
            raise CircuitOpen(_instant(until_ms))
        if self.memory.take_probe(self.name, for_ms=self.probe_ms):
            return Permit(is_probe=True)
        raise CircuitOpen(_instant(_ms(now) + self.probe_ms))

    def open_until(self, *, now: dt.datetime) -> dt.datetime | None:
        """Tell until when nothing may be sent; None when sending is allowed or may be probed."""
        until_ms = self.memory.open_until_ms(self.name)
        return _instant(until_ms) if until_ms is not None and _ms(now) < until_ms else None

    def record_answer(self) -> None:
        """Note a clear answer, yes or no: the provider works."""
        self.memory.reset(self.name)

    def record_failure(self, permit: Permit, *, now: dt.datetime) -> None:
        """Note a call that ended without a clear answer; the last of a row opens the circuit."""
        failures = self.memory.count_failure(self.name)
        if permit.is_probe or failures >= self.threshold:
            self.memory.open(self.name, _ms(now) + self.open_ms)
            CIRCUIT_OPENED.inc()
            log.warning("stripe_circuit_opened", failures=failures, for_ms=self.open_ms)

    def abandon(self, permit: Permit) -> None:
        """Give a permit back unused."""
        if permit.is_probe:
            self.memory.give_probe_back(self.name)


@dataclass
class ProcessMemory:
    """State that this process alone sees."""

    until: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    probes: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open_until_ms(self, name: str) -> int | None:
        return self.until.get(name)

    def count_failure(self, name: str) -> int:
        with self.lock:
            self.failures[name] = self.failures.get(name, 0) + 1
            return self.failures[name]

    def open(self, name: str, until_ms: int) -> None:
        with self.lock:
            self.until[name] = until_ms
            self.probes.pop(name, None)

    def take_probe(self, name: str, *, for_ms: int) -> bool:
        with self.lock:
            if self.probes.get(name, 0.0) > time.monotonic():
                return False
            self.probes[name] = time.monotonic() + for_ms / 1000
            return True

    def give_probe_back(self, name: str) -> None:
        with self.lock:
            self.probes.pop(name, None)

    def reset(self, name: str) -> None:
        with self.lock:
            for state in (self.until, self.failures, self.probes):
                state.pop(name, None)


class RedisMemory:
    """State that every process sees."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def open_until_ms(self, name: str) -> int | None:
        value = self.client.get(_key(name, "open"))
        return None if value is None else int(value)

    def count_failure(self, name: str) -> int:
        return int(self.client.incr(_key(name, "failures")))

    def open(self, name: str, until_ms: int) -> None:
        self.client.set(_key(name, "open"), until_ms)
        self.client.delete(_key(name, "probe"))

    def take_probe(self, name: str, *, for_ms: int) -> bool:
        return bool(self.client.set(_key(name, "probe"), 1, nx=True, px=for_ms))

    def give_probe_back(self, name: str) -> None:
        self.client.delete(_key(name, "probe"))

    def reset(self, name: str) -> None:
        self.client.delete(*(_key(name, part) for part in ("open", "failures", "probe")))


class SharedMemory:
    """Redis while it answers, this process's own memory while it does not."""

    def __init__(self, shared: RedisMemory) -> None:
        self.shared = shared
        self.own = ProcessMemory()
        self.paused_until = 0.0

    def open_until_ms(self, name: str) -> int | None:
        return self._ask("open_until_ms", name)  # type: ignore[no-any-return]

    def count_failure(self, name: str) -> int:
        return self._ask("count_failure", name)  # type: ignore[no-any-return]

    def open(self, name: str, until_ms: int) -> None:
        self._ask("open", name, until_ms)

    def take_probe(self, name: str, *, for_ms: int) -> bool:
        return self._ask("take_probe", name, for_ms=for_ms)  # type: ignore[no-any-return]

    def give_probe_back(self, name: str) -> None:
        self._ask("give_probe_back", name)

    def reset(self, name: str) -> None:
        self.own.reset(name)
        self._ask("reset", name)

    def _ask(self, method: str, *args: Any, **options: Any) -> Any:
        if time.monotonic() >= self.paused_until:
            try:
                return getattr(self.shared, method)(*args, **options)
            except redis.RedisError as error:
                self.paused_until = time.monotonic() + REDIS_PAUSE_SECONDS
                log.warning("stripe_circuit_not_shared", error=type(error).__name__)
        return getattr(self.own, method)(*args, **options)


def for_address(api_base_url: str, *, config: Stripe | None = None) -> Circuit:
    """Give the circuit of one Stripe address, as the caller's settings shape it, or those of the moment."""
    config = config or settings.STRIPE
    longest_call_ms = config.retry_max_attempts * (config.total_timeout_ms + 2 * config.retry_max_ms)
    return Circuit(
        name=api_base_url,
        threshold=config.circuit_failure_threshold,
        open_ms=config.circuit_open_ms,
        probe_ms=longest_call_ms,
        memory=_memory(settings.REDIS_URL),
    )


@lru_cache(maxsize=4)
def _memory(redis_url: str) -> SharedMemory:
    client = redis.Redis.from_url(
        redis_url.replace("redis+socket://", "unix://", 1),
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    return SharedMemory(RedisMemory(client))


def _key(name: str, part: str) -> str:
    return f"settld:stripe_circuit:{hashlib.sha256(name.encode()).hexdigest()[:16]}:{part}"


def _ms(instant: dt.datetime) -> int:
    return int(instant.timestamp() * 1000)


def _instant(ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC)
