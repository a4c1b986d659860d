"""A subscription as a stored thing: its body, its items, what it is found by, how a change of it is told."""

from collections.abc import Sequence

from settld.stripe_simulator.errors import Refused, StripeError, missing
from settld.stripe_simulator.resources import events, prices, products
from settld.stripe_simulator.resources.changes import Change
from settld.stripe_simulator.store import Selection
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Origin, World

KIND, ITEM = "subscription", "subscription_item"
OVER = ("canceled", "incomplete_expired")
MAX_ITEMS = 20
PLAN_FIELDS = ("interval", "interval_count", "meter", "trial_period_days", "usage_type")
UPDATED = "customer.subscription.updated"


def insert(world: World, body: Json, *, items: Sequence[Json]) -> None:
    """Store a new subscription with its items; its event is the caller's to emit."""
    put_items(body, items)
    labels = {"customer": body["customer"], "status": body["status"], "canceled": _canceled(body)}
    world.store.insert(kind=KIND, body=body, labels=labels)
    world.store.relabel(kind=KIND, object_id=body["id"], name="price", values=price_ids(body))
    for item in items:
        world.store.insert(kind=ITEM, body=item, labels={"subscription": body["id"]})
    world.log.add("object", object=KIND, id=body["id"], action="created")


def keep(world: World, change: Change, *, origin: Origin, event_type: str | None = UPDATED) -> bool:
    """Store a changed subscription, its items and what it is found by; tell it if it did change."""
    body, before = change.body, change.before
    if body == before:
        return False
    if body["status"] != before["status"]:
        for name, value in (("status", body["status"]), ("canceled", _canceled(body))):
            world.store.relabel(kind=KIND, object_id=body["id"], name=name, values=[value])
    if body["items"] != before["items"]:
        world.store.relabel(kind=KIND, object_id=body["id"], name="price", values=price_ids(body))
        _keep_items(world, body, before)
    return change.keep(world, origin=origin, event_type=event_type)


def _keep_items(world: World, body: Json, before: Json) -> None:
    known = {item["id"] for item in before["items"]["data"]}
    now = {item["id"] for item in body["items"]["data"]}
    for item in body["items"]["data"]:
        if item["id"] in known:
            world.store.replace(kind=ITEM, body=item)
        else:
            world.store.insert(kind=ITEM, body=item, labels={"subscription": body["id"]})
    for item_id in known - now:
        world.store.delete(kind=ITEM, object_id=item_id)


def _canceled(body: Json) -> str:
    return "yes" if body["status"] == "canceled" else "no"


def price_ids(body: Json) -> list[str]:
    return sorted({item["price"]["id"] for item in body["items"]["data"]})


def put_items(body: Json, items: Sequence[Json]) -> None:
    body["items"] = {
        "data": list(items),
        "has_more": False,
        "object": "list",
        "url": f"/v1/subscription_items?subscription={body['id']}",
        "total_count": len(items),
    }


def new_item(
    world: World,
    *,
    subscription_id: str,
    price: Json,
    quantity: int | None,
    starts_at: int,
    ends_at: int,
    metadata: dict[str, str] | None = None,
) -> Json:
    body = sample(ITEM)
    body.update(
        id=world.ids.next("si"),
        created=world.clock.now(),
        subscription=subscription_id,
        current_period_start=starts_at,
        current_period_end=ends_at,
        metadata=metadata or {},
    )
    put_price(body, price, quantity=quantity)
    return body


def put_price(item: Json, price: Json, *, quantity: int | None) -> None:
    """A price on an item, with the old `plan` beside it; metered use has no quantity."""
    is_metered = price["recurring"]["usage_type"] == "metered"
    item["price"] = price
    item["plan"] = _plan(price)
    item.pop("quantity", None)
    if not is_metered:
        item["quantity"] = 1 if quantity is None else quantity


def _plan(price: Json) -> Json:
    plan = sample("plan")
    for name in ("active", "billing_scheme", "created", "currency", "id", "metadata", "nickname", "product"):
        plan[name] = price[name]
    for name in PLAN_FIELDS:
        plan[name] = price["recurring"][name]
    plan.update(amount=price["unit_amount"], amount_decimal=price["unit_amount_decimal"])
    return plan


def sellable(world: World, price_id: str, *, param: str, even_inactive: bool = False) -> Json:
    """An active recurring price."""
    price = prices.find(world, price_id, param=param, status=400)
    if price["type"] != "recurring":
        message = (
            f"The price specified is set to `type={price['type']}` but this field only accepts prices with "
            "`type=recurring`."
        )
        raise StripeError(message, param=param)
    if not price["active"] and not even_inactive:
        message = f"The price specified is inactive. This field only accepts active prices: {price_id}"
        raise StripeError(message, param=param)
    return price


def require_alike(found: Sequence[Json]) -> None:
    """The prices of one subscription share currency and interval."""
    if not 1 <= len(found) <= MAX_ITEMS:
        raise StripeError(f"A subscription has 1 to {MAX_ITEMS} items.", param="items")
    terms = {(p["currency"], p["recurring"]["interval"], p["recurring"]["interval_count"]) for p in found}
    if len(terms) > 1:
        message = "All prices on a subscription must have the same currency and billing interval."
        raise StripeError(message, param="items")
    if len({price["id"] for price in found}) < len(found):
        message = "Cannot add multiple subscription items with the same price."
        raise StripeError(message, param="items")


def product_name(world: World, price: Json) -> str:
    return str(products.find(world, price["product"])["name"])


def period_end(body: Json) -> int:
    return min(int(item["current_period_end"]) for item in body["items"]["data"])


def period_start(body: Json) -> int:
    return max(int(item["current_period_start"]) for item in body["items"]["data"])


def default_method(world: World, body: Json) -> str | None:
    """What an invoice of this subscription is charged to: its own method, else its customer's default."""
    if body["default_payment_method"] is not None:
        return str(body["default_payment_method"])
    customer = world.store.get(kind="customer", object_id=body["customer"]) or {}
    found = customer.get("invoice_settings", {}).get("default_payment_method")
    return None if found is None else str(found)


def tell(world: World, body: Json, word: str, *, origin: Origin) -> None:
    """`customer.subscription.<word>` about the subscription as it is."""
    events.emit(world, event_type=f"customer.subscription.{word}", subject=body, origin=origin)


def find(world: World, subscription_id: str, *, param: str | None = "id", status: int = 404) -> Json:
    body = world.store.get(kind=KIND, object_id=subscription_id)
    if body is None:
        raise missing(noun=KIND, object_id=subscription_id, param=param, status=status)
    return body


def find_live(world: World, subscription_id: str) -> Json:
    """One that can still change; an ended one is refused."""
    body = find(world, subscription_id)
    if body["status"] in OVER:
        message = "A canceled subscription can only update its cancellation_details and metadata."
        raise Refused(message)
    return body


def live_of(world: World, customer_id: str) -> list[Json]:
    """What a customer subscribes to, newest first."""
    labels = {"customer": [customer_id], "canceled": ["no"]}
    found = world.store.select(Selection(kind=KIND, labels=labels), limit=500)
    return [body for body in found if body["status"] not in OVER]
