"""Subscriptions: started with their first invoice, and changed by the customer on the portal."""

from collections.abc import Sequence

from settld.stripe_simulator.errors import Refused, StripeError
from settld.stripe_simulator.resources import (
    collection,
    customers,
    invoices,
    payment_methods,
    periods,
    subscription_bodies,
    subscription_ends,
    subscription_items,
    subscription_periods,
)
from settld.stripe_simulator.resources.changes import Change
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Origin, World

DAY = 86_400
MOST_TRIAL_DAYS = 730


def start(
    world: World,
    *,
    customer_id: str,
    items: Sequence[Json],
    metadata: dict[str, str],
    payment_method_id: str | None,
    trial_days: int | None,
    origin: Origin,
    pays: bool | None = None,
    trial_end: int | None = None,
    fields: Json | None = None,
    invoice_metadata: dict[str, str] | None = None,
    tries_payment: bool = True,
    even_inactive: bool = False,
) -> Json:
    """A new subscription with its first invoice, and the try to have that paid.

    `items`: `{"price": <id>, "quantity": n}`. Afterwards it is `active`; `trialing`, with a first invoice of
    nothing; or, when the payment fails or there is no method to charge, `incomplete` for at most 23 hours.
    `pays` overrules what the method would do. `even_inactive`: prices of a checkout session, which were good
    when it was opened, or were made for it alone. Events, in order: the invoice is created and finalized,
    `customer.subscription.created` (still `incomplete` if something is due), the payment's, the invoice's,
    `customer.subscription.updated` to `active`.
    """
    found = [
        subscription_bodies.sellable(
            world, one["price"], param="items[0][price]", even_inactive=even_inactive
        )
        for one in items
    ]
    subscription_bodies.require_alike(found)
    customer = customers.find(world, customer_id, param="customer", status=400)
    require_method(world, customer_id, payment_method_id)
    now = world.clock.now()
    ends_trial = trial_end or (now + trial_days * DAY if trial_days else None)
    body = _blank(world, customer, found[0], metadata, payment_method_id, ends_trial, fields or {})
    recurring = found[0]["recurring"]
    ends_at = ends_trial or periods.boundary_after(now, anchor=now, recurring=recurring)
    lines = [
        subscription_bodies.new_item(
            world,
            subscription_id=body["id"],
            price=price,
            quantity=one.get("quantity"),
            starts_at=now,
            ends_at=ends_at,
            metadata=one.get("metadata"),
        )
        for price, one in zip(found, items, strict=True)
    ]
    body["status"] = "trialing" if ends_trial else "incomplete"
    subscription_bodies.insert(world, body, items=lines)
    _remember_currency(world, customer, body["currency"])
    _open(world, body, origin, pays=pays, metadata=invoice_metadata, tries_payment=tries_payment)
    return body


def _blank(
    world: World,
    customer: Json,
    price: Json,
    metadata: dict[str, str],
    payment_method_id: str | None,
    trial_end: int | None,
    fields: Json,
) -> Json:
    now = world.clock.now()
    body = sample(subscription_bodies.KIND)
    body.update(fields)
    body.update(
        id=world.ids.next("sub"),
        billing_cycle_anchor=trial_end or now,
        created=now,
        currency=price["currency"],
        customer=customer["id"],
        default_payment_method=payment_method_id,
        metadata=metadata,
        start_date=now,
        trial_start=now if trial_end else None,
        trial_end=trial_end,
    )
    if world.settings.billing_mode == "classic":
        body["billing_mode"] = {"flexible": None, "type": "classic"}
    return body


def _open(
    world: World,
    body: Json,
    origin: Origin,
    *,
    pays: bool | None,
    metadata: dict[str, str] | None,
    tries_payment: bool,
) -> None:
    """The first invoice, the events of the beginning, and the first payment."""
    change = Change(body)
    now = world.clock.now()
    invoice = subscription_periods.draft_period(
        world, body, reason="subscription_create", period=(now, now), metadata=metadata, origin=origin
    )
    invoices.finalize(world, invoice, origin=origin)
    body["latest_invoice"] = invoice["id"]
    if invoice["status"] == "paid" and body["status"] == "incomplete":
        body["status"] = "active"
    subscription_bodies.keep(world, change, origin=origin, event_type=None)
    subscription_bodies.tell(world, body, "created", origin=origin)
    subscription_periods.start_timers(world, body)
    has_method = subscription_bodies.default_method(world, body) is not None
    if invoice["status"] == "open" and has_method and tries_payment:
        collection.collect(world, invoice, pays=pays, origin=origin)
        body.update(subscription_bodies.find(world, body["id"]))


def require_method(world: World, customer_id: str, method_id: str | None) -> None:
    """A subscription is charged to a method of its own customer."""
    if method_id is None:
        return
    method = payment_methods.find(world, method_id, param="default_payment_method", status=400)
    if method["customer"] != customer_id:
        message = f"The customer does not have a payment method with the ID {method_id}."
        raise Refused(message, code="resource_missing", param="default_payment_method")


def _remember_currency(world: World, customer: Json, currency: str) -> None:
    """A customer is billed in one currency from its first subscription on."""
    if customer["currency"] is None:
        customer["currency"] = currency
        world.store.replace(kind=customers.KIND, body=customer)
    elif customer["currency"] != currency:
        message = "You cannot combine currencies on a single customer."
        raise StripeError(message, param="currency")


def update_as_customer(
    world: World,
    *,
    subscription_id: str,
    origin: Origin,
    price_id: str | None = None,
    quantity: int | None = None,
    cancel_at_period_end: bool | None = None,
    payment_method_id: str | None = None,
    cancellation_details: Json | None = None,
    proration_behavior: str = "create_prorations",
) -> Json:
    """What a customer does on the portal; each argument given is one change, all told as one event.

    A cancellation at the period's end sets `cancel_at` alone under flexible billing, both fields under
    classic billing; `cancel_at_period_end=False` takes it back.
    """
    body = subscription_bodies.find_live(world, subscription_id)
    change = Change(body)
    invoice = None
    if price_id is not None or quantity is not None:
        item = body["items"]["data"][0]
        edit = {"id": item["id"], "price": price_id, "quantity": quantity}
        invoice = subscription_items.edit(
            world, body, [edit], proration_behavior=proration_behavior, origin=origin
        )
    if cancel_at_period_end:
        body["cancel_at_period_end"] = body["billing_mode"]["type"] != "flexible"
        end = subscription_bodies.period_end(body)
        subscription_ends.plan_end(world, body, at=end)
        details = cancellation_details or {}
        for name in ("comment", "feedback"):
            body["cancellation_details"][name] = details.get(name)
    elif cancel_at_period_end is False:
        subscription_ends.unplan_end(world, body)
    if payment_method_id is not None:
        require_method(world, body["customer"], payment_method_id)
        body["default_payment_method"] = payment_method_id
    subscription_bodies.keep(world, change, origin=origin)
    if invoice is not None:
        collection.finalize_and_collect(world, invoice, origin=origin)
    return subscription_bodies.find(world, subscription_id)
