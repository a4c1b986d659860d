"""What is asked of the product, and what must be true of the answers."""

import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Iterable
from urllib.parse import quote

from tests.bench import load, seeding
from tests.bench.load import Outcome, Prepared, request_bytes
from tests.bench.world import PROVIDER, SECRET, World

SPREAD = [f"bench_{number}" for number in range(8)]
HOT = "bench_hot"
CAPPED = "bench_capped"
ENDLESS_CENTS = 9_000_000_000_000
CAP_PAYOUTS, CAP_REQUESTS = 100, 400


class Wrong(AssertionError):
    """The product gave a wrong answer; a rate is worth nothing then."""


class Pool:
    """Closed statements nobody has enqueued yet; each is given out once."""

    def __init__(self, world: World, parties: list[tuple[str, str]]) -> None:
        self.world, self.parties, self.at = world, parties, 0

    def next(self, count: int) -> Prepared:
        chosen = self.parties[self.at : self.at + count]
        if not chosen:
            raise RuntimeError("the run has used up its statements")
        return Prepared([enqueue_request(self.world, *place) for place in chosen])

    def spend(self, outcome: Outcome) -> None:
        self.at += outcome.used


def pools(world: World, *, spread: int, hot: int) -> tuple[Pool, Pool]:
    """Seed statements for both kinds of enqueue, and set the caps that they run under."""
    each = spread // len(SPREAD)
    seeding.statements(world, by_tenant=dict.fromkeys(SPREAD, each) | {HOT: hot}, prefix="p")
    for tenant_id in (*SPREAD, HOT):
        set_limit(world, tenant_id, ENDLESS_CENTS)
    return (
        Pool(world, [(tenant, f"p{number}") for number in range(each) for tenant in SPREAD]),
        Pool(world, [(HOT, f"p{number}") for number in range(hot)]),
    )


def headers(world: World, tenant_id: str) -> dict[str, str]:
    return {"x-proxy-ops-token": world.token, "x-proxy-tenant-id": tenant_id}


def enqueue_path(party_id: str) -> str:
    return f"/ops/payouts/{party_id}/{seeding.PERIOD}/enqueue"


def enqueue_request(world: World, tenant_id: str, party_id: str) -> bytes:
    sent = headers(world, tenant_id) | {"x-idempotency-key": f"bench-{party_id}"}
    return request_bytes("POST", enqueue_path(party_id), headers=sent, content=b"{}")


def set_limit(world: World, tenant_id: str, cents: int) -> None:
    plan = {"moneyRails": {"dailyPayoutLimitCents": cents}}
    status, body = call(world, "PUT", "/ops/finance/billing/plan", tenant_id, plan)
    if status != 200:
        raise Wrong(f"the cap of {tenant_id} was refused: {status} {body!r}")


def call(
    world: World, method: str, path: str, tenant_id: str, body: object, *, key: str = ""
) -> tuple[int, bytes]:
    """One call outside the measurement."""
    connection = http.client.HTTPConnection("127.0.0.1", world.product_port, timeout=30)
    sent = headers(world, tenant_id) | {"content-type": "application/json"}
    if key:
        sent["x-idempotency-key"] = key
    connection.request(method, path, json.dumps(body), sent)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, content


def initiated(world: World, *, tenants: list[str], limit: int) -> list[tuple[str, str]]:
    """Operations that no event has reached, tenants mixed."""
    rows = world.sql(
        "SELECT tenant_id, operation_id FROM money_rail_operation"
        " WHERE state = 'initiated' AND period = %s AND tenant_id = ANY(%s)"
        " ORDER BY md5(operation_id) LIMIT %s",
        seeding.PERIOD, tenants, limit,
    )  # fmt: skip
    return [(str(tenant), str(operation)) for tenant, operation in rows]


def ingest_requests(world: World, operations: Iterable[tuple[str, str]]) -> Prepared:
    """Signed news that each operation was submitted."""
    requests = []
    for tenant_id, operation_id in operations:
        news = {
            "operationId": operation_id, "eventType": "submitted", "eventId": "e1",
            "providerRef": "ref_" + hashlib.sha256(operation_id.encode()).hexdigest()[:24],
        }  # fmt: skip
        content = json.dumps(news).encode()
        stamp = str(int(time.time()))
        digest = hmac.new(SECRET.encode(), stamp.encode() + b"." + content, hashlib.sha256).hexdigest()
        sent = headers(world, tenant_id) | {"x-proxy-provider-signature": f"t={stamp},v1={digest}"}
        path = f"/ops/money-rails/{PROVIDER}/events/ingest"
        requests.append(request_bytes("POST", path, headers=sent, content=content))
    return Prepared(requests)


def read_requests(world: World, operations: Iterable[tuple[str, str]]) -> Prepared:
    requests = [
        request_bytes(
            "GET",
            f"/ops/money-rails/{PROVIDER}/operations/{quote(operation_id, safe='')}",
            headers=headers(world, tenant_id),
        )
        for tenant_id, operation_id in operations
    ]
    return Prepared(requests, repeats=True)


def replay_requests(world: World, places: list[tuple[str, str]]) -> Prepared:
    """Enqueue once more with the first key; the first answers are what must come back, byte for byte."""
    expected = []
    for tenant_id, party_id in places:
        status, content = call(world, "POST", enqueue_path(party_id), tenant_id, {}, key=f"bench-{party_id}")
        if status != 201:
            raise Wrong(f"enqueue answered {status}: {content!r}")
        expected.append(content)
    return Prepared([enqueue_request(world, *place) for place in places], repeats=True, expected=expected)


def require_right(name: str, outcome: Outcome, *, statuses: set[int]) -> None:
    """Any other status, and any replay that differs, stops the run."""
    if set(outcome.statuses) - statuses:
        raise Wrong(f"{name}: {dict(outcome.statuses)} {outcome.bodies}")
    if outcome.differing:
        raise Wrong(f"{name}: {outcome.differing} answers differ from the first one")


def check_cap(world: World) -> str:
    """Far more requests than a daily cap has room for, 64 at once: the cap is met exactly."""
    seeding.statements(world, by_tenant={CAPPED: CAP_REQUESTS}, prefix="c", payout_cents=700)
    set_limit(world, CAPPED, 700 * CAP_PAYOUTS)
    prepared = Prepared([enqueue_request(world, CAPPED, f"c{number}") for number in range(CAP_REQUESTS)])
    outcome = load.run(world.product_port, prepared, concurrency=64, seconds=60)
    require_right("cap", outcome, statuses={201, 409})
    if outcome.statuses[201] != CAP_PAYOUTS or len(outcome.latencies) != CAP_REQUESTS:
        raise Wrong(f"a cap of {CAP_PAYOUTS} payouts let pass {dict(outcome.statuses)}")
    if any(json.loads(body)["code"] != "PAYOUT_DAILY_LIMIT_EXCEEDED" for body in outcome.bodies):
        raise Wrong(f"the cap refused for another reason: {outcome.bodies}")
    rows = world.sql(
        "SELECT count(*), sum(amount_cents) FROM money_rail_operation WHERE tenant_id = %s", CAPPED
    )
    if rows != [(CAP_PAYOUTS, 700 * CAP_PAYOUTS)]:
        raise Wrong(f"the rows say {rows}")
    return f"{CAP_REQUESTS} requests at once for a cap of {CAP_PAYOUTS}: exactly {CAP_PAYOUTS} passed"


def check_one_key(world: World) -> str:
    """One key, sixty-four callers at once: one effect, one answer."""
    set_limit(world, CAPPED, ENDLESS_CENTS)
    seeding.statements(world, by_tenant={CAPPED: 1}, prefix="one")
    prepared = Prepared([enqueue_request(world, CAPPED, "one0")] * 64)
    prepared = Prepared(prepared.requests, expected=None)
    outcome = load.run(world.product_port, prepared, concurrency=64, seconds=30)
    require_right("one key", outcome, statuses={201})
    first = replay_requests(world, [(CAPPED, "one0")])
    again = load.run(
        world.product_port,
        Prepared(prepared.requests, expected=list(first.expected or []) * 64),
        concurrency=64,
        seconds=30,
    )
    require_right("one key", again, statuses={201})
    rows = world.sql(
        "SELECT count(*) FROM money_rail_operation WHERE tenant_id = %s AND party_id = 'one0'", CAPPED
    )
    if rows != [(1,)]:
        raise Wrong(f"one key made {rows} operations")
    return "one key, 64 callers at once: one operation, every answer the same bytes"
