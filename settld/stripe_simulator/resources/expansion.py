"""`expand[]`: ids in an answer replaced by the objects they name."""

from typing import Any

from settld.stripe_simulator.errors import StripeError
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import checkout_sessions, customers, invoice_payments, payment_links
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import World

MAX_DEPTH = 4
# Property name to the kind of object that its id names.
EXPANDABLE = {
    "balance_transaction": "balance_transaction",
    "destination": "account",
    "transfer": "transfer",
    "charge": "charge",
    "configuration": "billing_portal.configuration",
    "customer": "customer",
    "default_payment_method": "payment_method",
    "default_price": "price",
    "invoice": "invoice",
    "latest_charge": "charge",
    "latest_invoice": "invoice",
    "payment_intent": "payment_intent",
    "payment_link": "payment_link",
    "payment_method": "payment_method",
    "price": "price",
    "product": "product",
    "setup_intent": "setup_intent",
    "source_transaction": "charge",
    "subscription": "subscription",
    "subscription_item": "subscription_item",
    "source": None,
}
# Lists that an object shows only when they are asked for.
LISTED = {
    ("checkout.session", "line_items"): checkout_sessions.items_of,
    ("invoice", "payments"): lambda world, body: invoice_payments.listing(world, body["id"]),
    ("payment_link", "line_items"): payment_links.items_of,
}
# Expandable at Stripe, but never set or never kept as an object here.
NEVER_KEPT = ("destination_payment", "destination_payment_refund", "source_refund")


def expanded(world: World, form: Json, body: Json) -> Json:
    """The answer with everything expanded that the call asked for."""
    for path in Params(form, allowed=form.keys()).strings("expand"):
        steps = path.split(".")
        if len(steps) > MAX_DEPTH:
            message = f"You cannot expand more than {MAX_DEPTH} levels of a property"
            raise StripeError(message, param="expand")
        _expand(world, body, steps, path)
    return body


def _expand(world: World, node: Any, steps: list[str], path: str) -> None:
    if isinstance(node, list):
        for item in node:
            _expand(world, item, steps, path)
        return
    name, rest = steps[0], steps[1:]
    if isinstance(node, dict) and (node.get("object"), name) in LISTED:
        node.setdefault(name, LISTED[node["object"], name](world, node))
    if not isinstance(node, dict) or not isinstance(node.get(name, 0), str | dict | list | None):
        raise StripeError(f"This property cannot be expanded ({path}).", param="expand")
    if isinstance(node[name], str):
        node[name] = _object(world, name, node[name], path)
    if rest and node[name] is not None:
        _expand(world, node[name], rest, path)


def _object(world: World, name: str, object_id: str, path: str) -> Any:
    if name in NEVER_KEPT:
        return object_id
    if name not in EXPANDABLE:
        raise StripeError(f"This property cannot be expanded ({path}).", param="expand")
    kinds = [EXPANDABLE[name]] if EXPANDABLE[name] else ["transfer", "transfer_reversal", "charge", "dispute"]
    for kind in kinds:
        found = world.store.get(kind=str(kind), object_id=object_id)
        if found is not None:
            return found
    if name == "customer" and customers.tombstone(world, object_id) is not None:
        return {"id": object_id, "object": "customer", "deleted": True}
    return object_id
