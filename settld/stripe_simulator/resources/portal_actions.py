"""What a customer does on the portal, as far as the session's configuration allows it."""

from settld.stripe_simulator.errors import Refused, missing
from settld.stripe_simulator.resources import (
    customers,
    payment_methods,
    portal_configurations,
    subscription_bodies,
    subscription_ends,
    subscriptions,
)
from settld.stripe_simulator.store import Selection
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import PROVIDER, World

MOST_PLANS = 50


def feature(world: World, session: Json, name: str) -> Json:
    """A feature of the session's configuration, such as `subscription_cancel`."""
    return dict(portal_configurations.find(world, session["configuration"])["features"][name])


def subscription(world: World, session: Json, subscription_id: str | None) -> Json:
    """One of the customer's own live subscriptions; the newest unless named."""
    live = subscription_bodies.live_of(world, session["customer"])
    found = [body for body in live if subscription_id in (None, body["id"])]
    if not found:
        raise missing(noun="subscription", object_id=subscription_id or "", param="subscription", status=400)
    return found[0]


def plans(world: World, session: Json, body: Json) -> list[Json]:
    """The prices that a subscription can change to, cheapest first; its own is among them."""
    allowed = feature(world, session, "subscription_update")
    labels = {
        "type": ["recurring"],
        "active": ["true"],
        "currency": [body["currency"]],
        "usage_type": ["licensed"],
    }
    found = world.store.select(Selection(kind="price", labels=labels), limit=MOST_PLANS)
    if allowed.get("products"):
        named = {price for product in allowed["products"] for price in product["prices"]}
        found = [price for price in found if price["id"] in named]
    return sorted(found, key=lambda price: (price["unit_amount"] or 0, price["id"]))


def change_plan(world: World, session: Json, *, price_id: str, subscription_id: str | None = None) -> Json:
    allowed = _required(world, session, "subscription_update")
    body = subscription(world, session, subscription_id)
    if price_id not in [price["id"] for price in plans(world, session, body)]:
        raise missing(noun="price", object_id=price_id, param="price", status=400)
    return subscriptions.update_as_customer(
        world,
        subscription_id=body["id"],
        price_id=price_id,
        proration_behavior=allowed["proration_behavior"],
        origin=PROVIDER,
    )


def cancel(world: World, session: Json, *, subscription_id: str | None = None) -> Json:
    """At the period's end, or at once where the configuration says so."""
    allowed = _required(world, session, "subscription_cancel")
    body = subscription(world, session, subscription_id)
    if allowed["mode"] == "immediately":
        prorate = allowed["proration_behavior"] != "none"
        return subscription_ends.end(world, body, prorate=prorate, origin=PROVIDER)
    return subscriptions.update_as_customer(
        world, subscription_id=body["id"], cancel_at_period_end=True, origin=PROVIDER
    )


def resume(world: World, session: Json, *, subscription_id: str | None = None) -> Json:
    """Take back a cancellation that has not come yet."""
    _required(world, session, "subscription_cancel")
    body = subscription(world, session, subscription_id)
    return subscriptions.update_as_customer(
        world, subscription_id=body["id"], cancel_at_period_end=False, origin=PROVIDER
    )


def update_card(world: World, session: Json, *, number: str) -> Json:
    """A new card, the default from now on of the customer and of what it subscribes to."""
    _required(world, session, "payment_method_update")
    customer_id = session["customer"]
    method = payment_methods.attach_card(world, customer_id=customer_id, number=number, origin=PROVIDER)
    customers.set_default(world, customer_id, method["id"], origin=PROVIDER)
    for body in subscription_bodies.live_of(world, customer_id):
        if body["default_payment_method"] is not None:
            subscriptions.update_as_customer(
                world, subscription_id=body["id"], payment_method_id=method["id"], origin=PROVIDER
            )
    return method


def _required(world: World, session: Json, name: str) -> Json:
    allowed = feature(world, session, name)
    if not allowed["enabled"]:
        raise Refused(f"This portal does not offer {name.replace('_', ' ')}.", status=403)
    return allowed
