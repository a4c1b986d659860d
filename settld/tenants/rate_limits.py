"""Token buckets in Redis, shared by all workers; per process when Redis is away."""

import math
import threading
import time
from functools import lru_cache

import redis
import structlog
from django.conf import settings
from prometheus_client import Counter

from settld.core.errors import Refusal
from settld.core.principals import Principal
from settld.settings_parsing import RateLimit

LIMITED = Counter("rate_limited_total", "Requests refused by a rate limit", ["scope"])
DEGRADED = Counter("rate_limiter_degraded_total", "Decisions made without Redis")
RETRY_REDIS_SECONDS = 5.0
log = structlog.get_logger(__name__)

# Refill by elapsed time, take one token if there is one; answers seconds to wait (0 = taken).
_TAKE = """
local now = redis.call('TIME')
local at = tonumber(now[1]) + tonumber(now[2]) / 1000000
local rate, burst = tonumber(ARGV[1]) / 60, tonumber(ARGV[2])
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = math.min(burst, (tonumber(state[1]) or burst) + (at - (tonumber(state[2]) or at)) * rate)
local wait = '0'
if tokens >= 1 then tokens = tokens - 1 else wait = tostring((1 - tokens) / rate) end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', tostring(at))
redis.call('EXPIRE', KEYS[1], math.ceil(burst / rate) + 60)
return wait
"""


class RateLimited(Refusal):
    """Too many requests; `retry-after` says when the next one may pass."""

    status = 429
    code = "RATE_LIMITED"
    message = "rate limit exceeded"


def redis_address(url: str) -> str:
    """Write an address as the redis client wants it."""
    return "unix://" + url.removeprefix("redis+socket://") if url.startswith("redis+socket://") else url


@lru_cache(maxsize=4)
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_address(url), socket_connect_timeout=0.5, socket_timeout=0.5)


def redis_client() -> redis.Redis:
    """Give the connection pool that the buckets use."""
    return _client(settings.REDIS_URL)


class LocalBuckets:
    """The same buckets in this process's memory, bounded."""

    MOST = 10_000

    def __init__(self) -> None:
        self.buckets: dict[str, tuple[float, float]] = {}
        self.lock = threading.Lock()

    def take(self, key: str, limit: RateLimit) -> float:
        """Take a token; gives the seconds to wait when there is none."""
        rate, now = limit.rpm / 60, time.monotonic()
        with self.lock:
            if len(self.buckets) > self.MOST:
                self.buckets.clear()
            tokens, at = self.buckets.get(key, (float(limit.burst), now))
            tokens = min(float(limit.burst), tokens + (now - at) * rate)
            wait = 0.0 if tokens >= 1 else (1 - tokens) / rate
            self.buckets[key] = (tokens - 1 if tokens >= 1 else tokens, now)
        return wait


class RedisRateLimiter:
    """Charges each layer that is on; deployments that share one Redis differ by namespace."""

    def __init__(self, namespace: str = "settld:rate") -> None:
        self.namespace = namespace
        self.local = LocalBuckets()
        self.avoid_redis_until = 0.0

    def spend(self, principal: Principal) -> None:
        """Charge an authenticated caller: its tenant, and its key if it is one."""
        self._charge("tenant", principal.tenant_id)
        if principal.kind == "api_key":
            self._charge("api_key", f"{principal.tenant_id}\n{principal.key_id}")

    def spend_unauthenticated(self, address: str) -> None:
        """Charge an address whose authentication failed; a tenant's bucket is not touched."""
        self._charge("ip", address)

    def _charge(self, layer: str, identity: str) -> None:
        limit = settings.RATE_LIMITS[layer]
        if limit is None:
            return
        wait = self._take(f"{self.namespace}:{layer}:{identity}", limit)
        if wait > 0:
            LIMITED.labels(scope=layer).inc()
            raise RateLimited(headers={"retry-after": str(max(1, math.ceil(wait)))})

    def _take(self, key: str, limit: RateLimit) -> float:
        if time.monotonic() >= self.avoid_redis_until:
            try:
                return float(redis_client().eval(_TAKE, 1, key, limit.rpm, limit.burst))
            except (redis.RedisError, OSError) as error:
                self.avoid_redis_until = time.monotonic() + RETRY_REDIS_SECONDS
                log.warning("rate_limiter_degraded", error=type(error).__name__)
        DEGRADED.inc()
        return self.local.take(key, limit)
