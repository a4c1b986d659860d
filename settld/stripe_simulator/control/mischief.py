"""Faults in answers, and webhooks that go astray."""

import time

from settld.stripe_simulator.control.fields import BadControl, integer, known, rules, text
from settld.stripe_simulator.faults import Chaos, FaultRule
from settld.stripe_simulator.resources import webhook_endpoints
from settld.stripe_simulator.webhooks import endpoints, queue
from settld.stripe_simulator.webhooks.rules import DeliveryRule
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import World

ORDERS = ("fifo", "lifo", "shuffle")
CHAOS_FIELDS = ("seed", "rates", "method", "path", "delay_ms")


def read_faults(world: World, body: Json) -> Json:
    known(body)
    return world.faults.describe()


def add_faults(world: World, body: Json) -> Json:
    """`rules` are added after those there are; `rates` replaces the random faults."""
    known(body, "rules", *CHAOS_FIELDS)
    try:
        added = [FaultRule(**rule) for rule in rules(body)]
        if "rates" in body:
            chaos = {name: body[name] for name in CHAOS_FIELDS if name in body}
            world.faults.chaos = Chaos(**{"seed": world.seed, **chaos})
    except (TypeError, ValueError) as error:
        raise BadControl(f"faults: {error}") from error
    world.faults.rules += added
    return world.faults.describe()


def clear_faults(world: World, body: Json) -> Json:
    known(body)
    world.faults.clear()
    return world.faults.describe()


def read_webhooks(world: World, body: Json) -> Json:
    known(body)
    return {**world.delivery_rules.describe(), "deliveries": queue.counts(world)}


def add_webhook_rules(world: World, body: Json) -> Json:
    """`{"rules": [...]}`, or one rule's fields by themselves."""
    try:
        added = [DeliveryRule(**rule) for rule in (rules(body) if "rules" in body else [body])]
    except (TypeError, ValueError) as error:
        raise BadControl(f"webhooks: {error}") from error
    world.delivery_rules.rules += added
    return world.delivery_rules.describe()


def clear_webhook_rules(world: World, body: Json) -> Json:
    """Later events travel normally; what is held stays held until a flush."""
    known(body)
    world.delivery_rules.rules.clear()
    return world.delivery_rules.describe()


def flush(world: World, body: Json) -> Json:
    known(body, "order")
    order = text(body, "order", "fifo")
    if order not in ORDERS:
        raise BadControl(f"order is one of {', '.join(ORDERS)}")
    return {"released": queue.flush(world, order=order)}


def read_deliveries(world: World, body: Json) -> Json:
    known(body, "event_id", "status", "limit")
    limit = str(body.get("limit", 1000))
    if not limit.isdigit() or len(limit) > 15:
        raise BadControl("limit must be a whole number")
    found = queue.listing(world, event_id=body.get("event_id"), status=body.get("status"), limit=int(limit))
    return {"deliveries": found}


def redeliver(world: World, body: Json) -> Json:
    """Send an event again, to all who listen to it or to one endpoint; rules do not apply."""
    known(body, "event_id", "endpoint_id")
    event = world.store.get(kind="event", object_id=text(body, "event_id", ""))
    if event is None:
        raise BadControl("no such event", status=404)
    wanted = text(body, "endpoint_id")
    hearing = [
        one for one in endpoints.listeners(world) if wanted in (None, one.endpoint_id) and one.hears(event)
    ]
    for listener in hearing:
        queue.insert(
            world, event=event, listener=listener, mode="redelivery", status="pending", due=time.time()
        )
    world.deliveries_due.set()
    return {"queued": len(hearing)}


def register_endpoint(world: World, body: Json) -> Json:
    """Make or update the endpoint of a URL, with a secret that both sides know beforehand."""
    known(body, "url", "secret", "enabled_events", "audience", "api_version")
    url, secret = text(body, "url"), text(body, "secret")
    if not url or not secret:
        raise BadControl("url and secret are required")
    webhook_endpoints.checked_url(url)
    audience = text(body, "audience", "all")
    if audience not in endpoints.AUDIENCES:
        raise BadControl(f"audience is one of {', '.join(endpoints.AUDIENCES)}")
    enabled = body.get("enabled_events", ["*"])
    if not isinstance(enabled, list) or not enabled or not all(isinstance(name, str) for name in enabled):
        raise BadControl('enabled_events is a list of event types, or ["*"]')
    found = _by_url(world, url)
    if found is None:
        version = text(body, "api_version")
        return webhook_endpoints.make(
            world, url=url, enabled_events=enabled, api_version=version, audience=audience, secret=secret
        )
    found.update(
        enabled_events=enabled, status="enabled", api_version=text(body, "api_version", found["api_version"])
    )
    world.store.replace(kind="webhook_endpoint", body=found)
    endpoints.keep_secret(world, endpoint_id=found["id"], secret=secret, audience=audience)
    return found


def _by_url(world: World, url: str) -> Json | None:
    return next((body for body in endpoints.all_endpoints(world) if body["url"] == url), None)


def forget_endpoint(world: World, body: Json, endpoint_id: str) -> Json:
    known(body)
    if world.store.get(kind="webhook_endpoint", object_id=endpoint_id) is None:
        raise BadControl("no such webhook endpoint", status=404)
    world.store.delete(kind="webhook_endpoint", object_id=endpoint_id)
    return {"id": endpoint_id, "deleted": True}


def read_endpoints(world: World, body: Json) -> Json:
    known(body)
    return {"webhook_endpoints": endpoints.all_endpoints(world)}


def wait_idle(world: World, body: Json) -> Json:
    """Wait, without the lock, until no delivery is due; `idle` says whether that came in time."""
    known(body, "timeout_ms")
    ends_at = time.monotonic() + integer(body, "timeout_ms", 5_000) / 1000
    generation = world.generation
    while time.monotonic() < ends_at and world.pause(0.01, generation=generation):
        with world.lock:
            if queue.is_idle(world):
                return {"idle": True}
    return {"idle": False}
