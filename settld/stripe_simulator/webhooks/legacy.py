"""Events as an endpoint pinned to a version before 2025-03-31.basil gets them.

With that version Stripe moved a subscription's period onto its items, an invoice's subscription under
`parent`, and its payment into a list that must be expanded.
"""

import copy
from typing import Any

from settld.stripe_simulator.resources import invoice_payments, payment_intents
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import World

BASIL = "2025-03-31"
PERIOD = ("current_period_end", "current_period_start")


def as_seen_in(world: World, event: Json, version: str) -> Json:
    """The event in the shapes of a version, which it then names."""
    seen = {**event, "api_version": version}
    if version[: len(BASIL)] >= BASIL:
        return seen
    data = copy.deepcopy(event["data"])
    rewrite = REWRITES.get(data["object"].get("object"))
    if rewrite is not None:
        data["object"] = rewrite(world, data["object"])
        if "previous_attributes" in data:
            data["previous_attributes"] = _previous(data["previous_attributes"])
    return {**seen, "data": data}


def _subscription(_world: World, body: Json) -> Json:
    items = body["items"]["data"]
    body["current_period_start"] = max(item["current_period_start"] for item in items)
    body["current_period_end"] = min(item["current_period_end"] for item in items)
    for item in items:
        for name in PERIOD:
            del item[name]
    body.pop("billing_mode", None)
    return body


def _previous(previous: Json) -> Json:
    """The old period of the first item, where the items changed, is the subscription's own old period."""
    items = previous.get("items", {}).get("data") if isinstance(previous.get("items"), dict) else None
    for item in items or []:
        for name in PERIOD:
            if name in item:
                previous.setdefault(name, item.pop(name))
    if previous.get("status") in ("draft", "open") and "status_transitions" in previous:
        previous["paid"] = False
    return previous


def _invoice(world: World, body: Json) -> Json:
    parent = body.pop("parent") or {}
    details = parent.get("subscription_details")
    body["subscription"] = details["subscription"] if details else None
    body["subscription_details"] = {"metadata": details["metadata"]} if details else {"metadata": None}
    body["paid"] = body["status"] == "paid"
    body["paid_out_of_band"] = False
    body["payment_intent"] = body["charge"] = None
    for payment in invoice_payments.of_invoice(world, body["id"])[:1]:
        intent = payment_intents.find(world, payment["payment"]["payment_intent"])
        body.update(payment_intent=intent["id"], charge=intent["latest_charge"])
    body["tax"] = None
    body["lines"]["data"] = [_line(line) for line in body["lines"]["data"]]
    return body


def _line(line: Json) -> Json:
    parent = line.pop("parent")
    details = parent[parent["type"]]
    price = line.pop("pricing")["price_details"]["price"]
    is_of_subscription = parent["type"] == "subscription_item_details"
    line.update(
        price={"id": price, "object": "price"},
        proration=details["proration"],
        subscription_item=details.get("subscription_item"),
        type="subscription" if is_of_subscription else "invoiceitem",
    )
    return line


def _of_invoice(world: World, body: Json) -> Json:
    """Charges and payment intents named the invoice they pay."""
    intent_id = body["id"] if body["object"] == "payment_intent" else body["payment_intent"]
    payment = invoice_payments.of_intent(world, intent_id) if intent_id else None
    return {**body, "invoice": payment["invoice"] if payment else None}


REWRITES: dict[Any, Any] = {
    "charge": _of_invoice,
    "invoice": _invoice,
    "payment_intent": _of_invoice,
    "subscription": _subscription,
}
