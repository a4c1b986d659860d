"""The lines of an invoice."""

from dataclasses import dataclass

from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import World


@dataclass(frozen=True, kw_only=True)
class Line:
    """What an invoice asks money for, from `starts_at` until `ends_at`; a negative amount gives some back."""

    price: Json
    quantity: int
    amount: int
    description: str
    starts_at: int
    ends_at: int
    subscription_id: str | None = None
    item_id: str | None = None
    is_proration: bool = False


def plain(price: Json, *, quantity: int, at: int, name: str) -> Line:
    """A line for something bought once."""
    amount = (price["unit_amount"] or 0) * quantity
    return Line(price=price, quantity=quantity, amount=amount, description=name, starts_at=at, ends_at=at)


def of_item(item: Json, *, name: str, is_trial: bool = False, starts_at: int, ends_at: int) -> Line:
    """A line for one period of a subscription's item; nothing is asked for a trial or metered use."""
    price, quantity = item["price"], item.get("quantity") or 0
    is_free = is_trial or price["recurring"]["usage_type"] == "metered"
    amount = 0 if is_free else (price["unit_amount"] or 0) * quantity
    every = f"/ {price['recurring']['interval']}"
    cost = f"{price['unit_amount_decimal'] or 0} {price['currency']} {every}"
    words = f"Trial period for {name}" if is_trial else f"{quantity} x {name} (at {cost})"
    return Line(
        price=price,
        quantity=quantity,
        amount=amount,
        description=words,
        starts_at=starts_at,
        ends_at=ends_at,
        subscription_id=item["subscription"],
        item_id=item["id"],
    )


def render(world: World, line: Line, *, invoice_id: str) -> Json:
    body = sample("line_item")
    body.update(
        id=world.ids.next("il"),
        amount=line.amount,
        subtotal=line.amount,
        currency=line.price["currency"],
        description=line.description,
        discountable=not line.is_proration,
        invoice=invoice_id,
        period={"start": line.starts_at, "end": line.ends_at},
        pricing={
            "type": "price_details",
            "price_details": {"price": line.price["id"], "product": line.price["product"]},
            "unit_amount_decimal": line.price["unit_amount_decimal"],
        },
        quantity=line.quantity,
        quantity_decimal=str(line.quantity),
        subscription=line.subscription_id,
        parent=_parent(world, line),
    )
    return body


def _parent(world: World, line: Line) -> Json:
    details = {
        "invoice_item": None,
        "proration": line.is_proration,
        "proration_details": {"credited_items": None},
        "subscription": line.subscription_id,
    }
    if line.subscription_id is None:
        return {
            "type": "invoice_item_details",
            "invoice_item_details": {**details, "invoice_item": world.ids.next("ii")},
            "subscription_item_details": None,
        }
    return {
        "type": "subscription_item_details",
        "invoice_item_details": None,
        "subscription_item_details": {**details, "subscription_item": line.item_id},
    }
