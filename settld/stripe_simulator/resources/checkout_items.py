"""What is bought: the line items of checkout sessions and payment links, and what they come to."""

from collections.abc import Sequence
from dataclasses import dataclass

from settld.stripe_simulator.errors import StripeError
from settld.stripe_simulator.params import Params, within
from settld.stripe_simulator.resources import prices, products, subscription_bodies
from settld.stripe_simulator.resources.checkout_params import missing_param, simulated
from settld.stripe_simulator.resources.lists import MAX_LIMIT, PAGING
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Origin, World

KIND = "item"
MOST = {"payment": 100, "subscription": 40}
MOST_QUANTITY = 999_999


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One line as asked for: a price that exists, or what to make one of."""

    price: Json | None
    price_data: Json
    quantity: int
    metadata: dict[str, str]


def read(world: World, params: Params, *, mode: str | None) -> list[Asked]:
    """The lines of a call, checked but not made. `mode` None: a link, whose prices decide it."""
    found: list[Asked] = []
    for number, line in enumerate(params.hashes("line_items")):
        with within(f"line_items[{number}]"):
            found.append(_one(world, line, mode))
    if not found:
        raise missing_param("line_items")
    if len(found) > MOST[mode or "subscription"]:
        raise StripeError("Too many line items.", param="line_items")
    if len({_currency(line) for line in found}) > 1:
        message = "All line items must have the same currency."
        raise StripeError(message, param="line_items")
    if mode == "subscription" and not any(is_recurring(line) for line in found):
        message = "You must provide at least one recurring price in `subscription` mode when using prices."
        raise StripeError(message, param="line_items")
    if len({is_recurring(line) for line in found}) > 1:
        message = "The simulator does not sell one-time prices together with a subscription."
        raise StripeError(message, param="line_items")
    return found


def _one(world: World, line: Json, mode: str | None) -> Asked:
    params = simulated(
        line,
        allowed=("metadata", "price", "price_data", "quantity"),
        not_simulated=("adjustable_quantity", "dynamic_tax_rates", "tax_rates"),
    )
    if params.has("price") == params.has("price_data"):
        raise StripeError("You must specify either `price` or `price_data`.", param="price")
    params.required_text("quantity")
    quantity = params.integer("quantity", minimum=1, maximum=MOST_QUANTITY) or 1
    price, data = None, params.mapping("price_data") or {}
    if params.has("price"):
        price = prices.find(world, params.required_text("price"), param="price", status=400)
        if not price["active"]:
            message = "The price specified is inactive. This field only accepts active prices."
            raise StripeError(message, param="price")
    asked = Asked(price=price, price_data=data, quantity=quantity, metadata=params.metadata({}))
    if mode == "payment" and is_recurring(asked):
        message = (
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode "
            "or use only one-time prices."
        )
        raise StripeError(message, param="price")
    return asked


def is_recurring(line: Asked) -> bool:
    return line.price["type"] == "recurring" if line.price else "recurring" in line.price_data


def _currency(line: Asked) -> str:
    return str(line.price["currency"] if line.price else line.price_data.get("currency", "")).lower()


def make(world: World, lines: Sequence[Asked], *, origin: Origin, is_free: bool = False) -> list[Json]:
    """The items, with a price made for each that was described. `is_free`: a trial, nothing is due today."""
    items = []
    for number, line in enumerate(lines):
        with within(f"line_items[{number}][price_data]"):
            price = line.price or prices.from_form(world, line.price_data, origin=origin)
        amount = (
            0 if is_free and price["type"] == "recurring" else (price["unit_amount"] or 0) * line.quantity
        )
        item = sample(KIND)
        item.update(
            id=world.ids.next("li"),
            amount_subtotal=amount,
            amount_total=amount,
            currency=price["currency"],
            description=products.find(world, price["product"])["name"],
            metadata=line.metadata,
            price=price,
            quantity=line.quantity,
        )
        items.append(item)
    if items and items[0]["price"]["recurring"]:
        subscription_bodies.require_alike([item["price"] for item in items])
    return items


def total(items: Sequence[Json]) -> int:
    return sum(item["amount_total"] for item in items)


def listed(items: Sequence[Json], *, url: str, form: Json | None = None) -> Json:
    """The list object of an owner's items: all it has room for, or a page as the call asks."""
    params = Params(form or {}, allowed=PAGING)
    limit = params.integer("limit", minimum=1, maximum=MAX_LIMIT) or 10
    rest = list(items)
    if (after := params.text("starting_after")) is not None:
        place = next((n for n, item in enumerate(rest) if item["id"] == after), None)
        if place is None:
            raise StripeError(f"No such item: '{after}'", code="resource_missing", param="starting_after")
        rest = rest[place + 1 :]
    return {"object": "list", "data": rest[:limit], "has_more": len(rest) > limit, "url": url}
