"""Rate limits: P5 and platform-operations 5."""

import uuid

import pytest

from settld.api.exchange import exchange
from settld.settings_parsing import RateLimit
from settld.tenants import rate_limits
from tests.support.api import Api, body, refusal

pytestmark = pytest.mark.django_db
NONE = {"ip": None, "tenant": None, "api_key": None}


@pytest.fixture(params=["redis", "without redis"])
def limits(request, settings, monkeypatch):
    """Buckets of this test alone: the test processes of a run share one Redis."""
    limiter = rate_limits.RedisRateLimiter(namespace=f"settld:rate:{uuid.uuid4()}")
    limiter.avoid_redis_until = 0 if request.param == "redis" else float("inf")
    monkeypatch.setattr(exchange, "rate_limiter", limiter)
    return settings


def test_a_tenant_that_calls_too_often_gets_429_with_retry_after(api, limits):
    limits.RATE_LIMITS = NONE | {"tenant": RateLimit(rpm=30, burst=2)}
    assert [api.get("/ops/audit").status_code for _ in range(3)] == [200, 200, 429]
    answer = api.get("/ops/audit")
    assert refusal(answer) == (429, "RATE_LIMITED")
    assert body(answer)["details"] is None
    assert 1 <= int(answer["retry-after"]) <= 2
    assert api.as_tenant("tenant_b").get("/ops/audit").status_code == 200


def test_a_stranger_naming_a_tenant_drains_only_its_own_address(api, limits):
    limits.RATE_LIMITS = NONE | {"tenant": RateLimit(rpm=1, burst=1), "ip": RateLimit(rpm=1, burst=2)}
    stranger = Api("tenant_a", token="wrong")
    assert [stranger.get("/ops/audit").status_code for _ in range(3)] == [403, 403, 429]
    assert api.get("/ops/audit").status_code == 200


def test_a_key_has_a_bucket_of_its_own(api, limits):
    keys = [body(api.post("/ops/api-keys", {"scopes": ["ops_read"]}))["token"] for _ in range(2)]
    limits.RATE_LIMITS = NONE | {"api_key": RateLimit(rpm=1, burst=1)}

    def call(key):
        return Api("tenant_a", token="").get("/ops/api-keys", headers={"x-proxy-api-key": key}).status_code

    assert [call(keys[0]), call(keys[0]), call(keys[1])] == [200, 429, 200]
    assert api.get("/ops/api-keys").status_code == 200


def test_health_is_never_limited(client, limits):
    limits.RATE_LIMITS = NONE | {"ip": RateLimit(rpm=1, burst=1)}
    assert [client.get("/health").status_code for _ in range(5)] == [200] * 5
