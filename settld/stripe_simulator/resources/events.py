"""Events: made with every change, listed, and queued for the webhook endpoints."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from settld.stripe_simulator.errors import StripeError, missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.webhooks import queue
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, Origin, World

MAX_TYPES = 20
# Stripe answers for an event that is older as for one that never was.
KEPT_SECONDS = 30 * 86_400
LIST_PARAMS = (*PAGING, "created", "type", "types", "delivery_success")
UNTAKEN = "SELECT 1 FROM deliveries d WHERE d.event_id = o.id AND d.status <> 'delivered'"
DELIVERED, UNDELIVERED = f"NOT EXISTS ({UNTAKEN})", f"EXISTS ({UNTAKEN})"


def emit(
    world: World,
    *,
    event_type: str,
    subject: Json,
    origin: Origin,
    previous: Json | None = None,
    account: str | None = None,
) -> Json:
    """Store what happened, as it is now, and queue it. `account`: the connected account it is about."""
    event = sample("event")
    event["data"]["object"] = subject
    if previous is not None:
        event["data"]["previous_attributes"] = previous
    if account is not None:
        event["account"] = account
    event.update(
        id=world.ids.next("evt"),
        api_version=world.settings.api_version,
        created=world.clock.now(),
        type=event_type,
        request={"id": origin.request_id, "idempotency_key": origin.idempotency_key},
    )
    if world.held_events is None:
        _send(world, event)
    else:
        world.held_events.append(copy.deepcopy(event))
    return event


def _send(world: World, event: Json) -> None:
    event["pending_webhooks"] = queue.enqueue(world, event)
    labels = {"type": event["type"], "account": event.get("account")}
    world.store.insert(kind="event", body=event, labels=labels)
    world.log.add("event", id=event["id"], type=event["type"], object=event["data"]["object"].get("id"))


@contextmanager
def held_back(world: World) -> Iterator[list[Json]]:
    """What happens inside is told only by `release`, after an event that Stripe sends before it."""
    before, world.held_events = world.held_events, []
    try:
        yield world.held_events
    finally:
        world.held_events = before


def release(world: World, held: list[Json]) -> None:
    """Tell what was held back, in its order and as things were then."""
    for event in held:
        _send(world, event)


def difference(old: Any, new: Any) -> Any:
    """The old values of what changed, nested as it is: Stripe's `previous_attributes`."""
    if isinstance(old, dict) and isinstance(new, dict):
        changed = {name: old.get(name) for name in {**old, **new} if old.get(name) != new.get(name)}
        return {name: difference(value, new.get(name)) for name, value in changed.items()}
    return old


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    event_id = call.names["id"]
    event = world.store.get(kind="event", object_id=event_id)
    is_forgotten = event is not None and event["created"] < world.clock.now() - KEPT_SECONDS
    if event is None or is_forgotten or (call.account and event.get("account") != call.account):
        raise missing(noun="event", object_id=event_id)
    return _with_pending(world, [event])[0]


def list_all(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=LIST_PARAMS)
    labels = {"account": [call.account]} if call.account else {}
    wanted = params.strings("types") or [name for name in [params.text("type")] if name]
    if params.has("type") and params.has("types"):
        raise StripeError("You may only specify one of these parameters: type, types.")
    if len(wanted) > MAX_TYPES:
        raise StripeError(f"At most {MAX_TYPES} types can be listed", param="types")
    if wanted:
        labels["type"] = _types(world, wanted)
    success = params.boolean("delivery_success")
    where = "" if success is None else DELIVERED if success else UNDELIVERED
    found = page(world, params, kind="event", url="/v1/events", labels=labels, where=where)
    found["data"] = _with_pending(world, found["data"])
    return found


def _types(world: World, wanted: list[str]) -> list[str]:
    """`transfer.*` as the types that exist."""
    types: list[str] = []
    for name in wanted:
        sql = "SELECT DISTINCT value FROM labels WHERE name = 'event.type' AND value GLOB ?"
        found = [row[0] for row in world.store.execute(sql, (name,)).fetchall()] if "*" in name else [name]
        types += found
    return types or ["none"]


def _with_pending(world: World, events: list[Json]) -> list[Json]:
    pending = queue.undelivered(world, [event["id"] for event in events])
    return [{**event, "pending_webhooks": pending.get(event["id"], 0)} for event in events]
