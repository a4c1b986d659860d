"""The items of a subscription: changed with or without prorations, read by their own calls."""

from collections.abc import Sequence

from settld.stripe_simulator import timers
from settld.stripe_simulator.errors import Refused, StripeError, missing
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import (
    collection,
    customers,
    invoices,
    periods,
    prorations,
    subscription_bodies,
    subscription_ends,
    subscription_periods,
)
from settld.stripe_simulator.resources.changes import Change
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, Origin, World

KIND = subscription_bodies.ITEM
PRORATIONS = ("always_invoice", "create_prorations", "none")
UPDATE_PARAMS = ("metadata", "off_session", "payment_behavior", "price", "proration_behavior", "quantity")
CREATE_PARAMS = (*UPDATE_PARAMS, "subscription")


def edit(
    world: World, body: Json, edits: Sequence[Json], *, proration_behavior: str, origin: Origin
) -> Json | None:
    """Change a subscription's items in place; the caller keeps the change.

    Each of `edits` has `id`, or is a new item, and of `price`, `quantity`, `metadata`, `deleted` what shall
    change. Other intervals begin a new period now. Returned: the draft of an invoice that is due at once, to
    be finalized and collected after the change is kept.
    """
    now = world.clock.now()
    items = {item["id"]: item for item in body["items"]["data"]}
    old_terms = _terms(body["items"]["data"])
    was = {item_id: _worth(item) for item_id, item in items.items()}
    before = {item_id: {**item} for item_id, item in items.items()}
    for one in edits:
        _apply(world, body, items, one)
    found = list(items.values())
    subscription_bodies.require_alike([item["price"] for item in found])
    resets = _terms(found) != old_terms and body["status"] != "trialing"
    if proration_behavior != "none":
        for item_id, item in before.items():
            if item_id not in items or resets or _worth(items[item_id]) != was[item_id]:
                prorations.charge_rest(world, body, item, at=now, sign=-1)
        for item_id, item in items.items():
            if not resets and _worth(item) != was.get(item_id):
                prorations.charge_rest(world, body, item, at=now, sign=1)
    subscription_bodies.put_items(body, found)
    if resets:
        return _begin_anew(world, body, origin)
    if proration_behavior == "always_invoice":
        return draft_waiting(world, body, origin=origin)
    return None


def _apply(world: World, body: Json, items: dict[str, Json], one: Json) -> None:
    item_id, price_id = one.get("id"), one.get("price")
    if item_id is not None and item_id not in items:
        raise missing(noun="subscription item", object_id=item_id, param="items[0][id]", status=400)
    price = None
    if price_id is not None:
        known = item_id is not None and items[item_id]["price"]["id"] == price_id
        price = (
            items[item_id]["price"]
            if item_id is not None and known
            else subscription_bodies.sellable(world, price_id, param="items[0][price]")
        )
    if item_id is None:
        if price is None:
            raise StripeError("Missing required param: items[0][price].", param="items[0][price]")
        item = subscription_bodies.new_item(
            world,
            subscription_id=body["id"],
            price=price,
            quantity=one.get("quantity"),
            starts_at=max(world.clock.now(), subscription_bodies.period_start(body)),
            ends_at=subscription_bodies.period_end(body),
            metadata=one.get("metadata"),
        )
        items[item["id"]] = item
    elif one.get("deleted"):
        items.pop(item_id)
    else:
        item = items[item_id]
        quantity = item.get("quantity") if one.get("quantity") is None else one["quantity"]
        subscription_bodies.put_price(item, price or item["price"], quantity=quantity)
        item["metadata"] = item["metadata"] if one.get("metadata") is None else one["metadata"]


def _worth(item: Json) -> tuple[str, int | None]:
    return item["price"]["id"], item.get("quantity")


def _terms(items: Sequence[Json]) -> tuple[str, int]:
    recurring = items[0]["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]


def _begin_anew(world: World, body: Json, origin: Origin) -> Json:
    """Another interval: a period from now on, invoiced now."""
    now = world.clock.now()
    recurring = body["items"]["data"][0]["price"]["recurring"]
    ends_at = periods.boundary_after(now, anchor=now, recurring=recurring)
    for item in body["items"]["data"]:
        item.update(current_period_start=now, current_period_end=ends_at)
    body["billing_cycle_anchor"] = now
    if body["cancel_at_period_end"]:
        subscription_ends.plan_end(world, body, at=ends_at)
    timers.put(world, kind="subscription.period", object_id=body["id"], at=ends_at)
    invoice = subscription_periods.draft_period(
        world, body, reason="subscription_update", period=(now, now), origin=origin
    )
    body["latest_invoice"] = invoice["id"]
    return invoice


def draft_waiting(world: World, body: Json, *, origin: Origin) -> Json | None:
    """A draft of what waits for the subscription's next invoice, or None when nothing does."""
    lines = prorations.take_waiting(world, body["id"])
    if not lines:
        return None
    invoice = invoices.draft(
        world,
        customer=customers.find(world, body["customer"]),
        currency=body["currency"],
        lines=lines,
        billing_reason="subscription_update",
        subscription=body,
        origin=origin,
    )
    body["latest_invoice"] = invoice["id"]
    return invoice


def _change(world: World, body: Json, one: Json, params: Params, origin: Origin) -> None:
    behaviour = params.choice("proration_behavior", PRORATIONS) or "create_prorations"
    change = Change(body)
    invoice = edit(world, body, [one], proration_behavior=behaviour, origin=origin)
    subscription_bodies.keep(world, change, origin=origin)
    if invoice is not None:
        collection.finalize_and_collect(world, invoice, origin=origin)


def find(world: World, item_id: str) -> Json:
    body = world.store.get(kind=KIND, object_id=item_id)
    if body is None:
        raise missing(noun="subscription item", object_id=item_id, param="item")
    return body


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return find(world, call.names["id"])


def create(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=CREATE_PARAMS)
    body = subscription_bodies.find_live(world, params.required_text("subscription"))
    one = {
        "price": params.required_text("price"),
        "quantity": params.integer("quantity", minimum=0),
        "metadata": params.metadata({}),
    }
    known = {item["id"] for item in body["items"]["data"]}
    _change(world, body, one, params, call.origin)
    added = next(item for item in body["items"]["data"] if item["id"] not in known)
    return find(world, added["id"])


def update(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=UPDATE_PARAMS)
    item = find(world, call.names["id"])
    body = subscription_bodies.find_live(world, item["subscription"])
    one = {
        "id": item["id"],
        "price": params.text("price"),
        "quantity": params.integer("quantity", minimum=0),
        "metadata": params.metadata(item["metadata"]),
    }
    _change(world, body, one, params, call.origin)
    return find(world, item["id"])


def delete(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=("clear_usage", "proration_behavior"))
    item = find(world, call.names["id"])
    body = subscription_bodies.find_live(world, item["subscription"])
    if len(body["items"]["data"]) == 1:
        message = "A subscription must have at least one active plan. Cancel it instead."
        raise Refused(message)
    _change(world, body, {"id": item["id"], "deleted": True}, params, call.origin)
    return {"id": item["id"], "object": KIND, "deleted": True}


def list_all(world: World, call: Call) -> Json:
    params = Params(call.form, allowed=(*PAGING, "subscription"))
    body = subscription_bodies.find(world, params.required_text("subscription"))
    labels = {"subscription": [body["id"]]}
    return page(world, params, kind=KIND, url="/v1/subscription_items", labels=labels)


ROUTES = (
    ("GET", "/v1/subscription_items", list_all),
    ("POST", "/v1/subscription_items", create),
    ("GET", "/v1/subscription_items/{id}", retrieve),
    ("POST", "/v1/subscription_items/{id}", update),
    ("DELETE", "/v1/subscription_items/{id}", delete),
)
