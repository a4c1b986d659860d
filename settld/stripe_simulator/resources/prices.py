"""Prices: an amount for a product, once or for each period."""

import re

from settld.stripe_simulator.errors import StripeError, missing
from settld.stripe_simulator.forms import Form
from settld.stripe_simulator.params import Params
from settld.stripe_simulator.resources import products
from settld.stripe_simulator.resources.changes import Change, make
from settld.stripe_simulator.resources.lists import PAGING, page
from settld.stripe_simulator.templates import sample
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import Call, Origin, World

KIND = "price"
INTERVALS = {"day": 1095, "week": 156, "month": 36, "year": 3}
CURRENCY = re.compile(r"[a-zA-Z]{3}")
MOST = 99_999_999_99
DATA_PARAMS = (
    "currency",
    "metadata",
    "nickname",
    "product",
    "product_data",
    "recurring",
    "tax_behavior",
    "unit_amount",
    "unit_amount_decimal",
)
CREATE_PARAMS = (*DATA_PARAMS, "active", "billing_scheme", "lookup_key", "tiers", "tiers_mode")
UPDATE_PARAMS = ("active", "lookup_key", "metadata", "nickname", "tax_behavior")
PRODUCT_DATA_PARAMS = ("active", "description", "id", "images", "metadata", "name", "tax_code", "unit_label")


def from_form(
    world: World, form: Form, *, origin: Origin, allowed: tuple[str, ...] = DATA_PARAMS, active: bool = False
) -> Json:
    """A price from a `price_data`, with its `product_data` if it has one; such a price is born inactive."""
    params = Params(form, allowed=allowed)
    currency = params.required_text("currency")
    if not CURRENCY.fullmatch(currency):
        raise StripeError(f"Invalid currency: {currency}", param="currency")
    recurring = _recurring(params)
    amount = None if params.has("tiers") else _unit_amount(params)
    product_id = _product(world, params, origin)
    return insert(
        world,
        product_id=product_id,
        currency=currency.lower(),
        unit_amount=amount,
        unit_amount_decimal=params.text("unit_amount_decimal"),
        recurring=recurring,
        nickname=params.text("nickname"),
        lookup_key=params.text("lookup_key"),
        metadata=params.metadata({}),
        tiers_mode=params.choice("tiers_mode", ("graduated", "volume")) if params.has("tiers") else None,
        active=active if params.boolean("active") is None else bool(params.boolean("active")),
        origin=origin,
    )


def insert(
    world: World,
    *,
    product_id: str,
    currency: str,
    unit_amount: int | None,
    origin: Origin,
    recurring: Json | None = None,
    metadata: dict[str, str] | None = None,
    nickname: str | None = None,
    lookup_key: str | None = None,
    unit_amount_decimal: str | None = None,
    tiers_mode: str | None = None,
    active: bool = True,
) -> Json:
    """A stored price. `recurring` as Stripe shows it; without it the price is for one time.

    `unit_amount` None: a price by tiers, or of fractions of the minor unit (`unit_amount_decimal`).
    """
    body = sample(KIND)
    decimal = unit_amount_decimal if unit_amount is None else str(unit_amount)
    body.update(
        id=world.ids.next("price"),
        active=active,
        billing_scheme="tiered" if tiers_mode else "per_unit",
        created=world.clock.now(),
        currency=currency,
        lookup_key=lookup_key,
        metadata=metadata or {},
        nickname=nickname,
        product=product_id,
        recurring=recurring,
        tiers_mode=tiers_mode,
        type="recurring" if recurring else "one_time",
        unit_amount=unit_amount,
        unit_amount_decimal=decimal,
    )
    labels = {
        "product": product_id,
        "type": body["type"],
        "currency": currency,
        "active": _active(body),
        "lookup_key": lookup_key,
        "interval": recurring["interval"] if recurring else None,
        "usage_type": recurring["usage_type"] if recurring else None,
    }
    make(world, body=body, origin=origin, labels=labels, event_type="price.created")
    return body


def _product(world: World, params: Params, origin: Origin) -> str:
    data, product_id = params.mapping("product_data"), params.text("product")
    if (data is None) == (product_id is None):
        message = "You must specify exactly one of product or product_data."
        raise StripeError(message, code="parameter_missing", param="product")
    if data is not None:
        return str(products.insert(world, data, origin=origin, allowed=PRODUCT_DATA_PARAMS)["id"])
    return str(products.find(world, str(product_id), param="product", status=400)["id"])


def _unit_amount(params: Params) -> int | None:
    amount = params.integer("unit_amount", minimum=0, maximum=MOST)
    decimal = params.text("unit_amount_decimal")
    if amount is None and decimal is None:
        message = "Prices require an `unit_amount` or `unit_amount_decimal` parameter to be set."
        raise StripeError(message, code="parameter_missing", param="unit_amount")
    if decimal is None:
        return amount
    if amount is not None or not re.fullmatch(r"\d{1,10}(\.\d{1,12})?", decimal):
        raise StripeError("Invalid decimal, or given beside unit_amount", param="unit_amount_decimal")
    whole, _, fraction = decimal.partition(".")
    return None if fraction.strip("0") else int(whole)


def _recurring(params: Params) -> Json | None:
    given = params.mapping("recurring")
    if given is None:
        return None
    terms = Params(given, allowed=("interval", "interval_count", "meter", "trial_period_days", "usage_type"))
    interval = terms.choice("interval", INTERVALS)
    if interval is None:
        raise StripeError(
            "Missing required param: recurring[interval].",
            code="parameter_missing",
            param="recurring[interval]",
        )
    usage = terms.choice("usage_type", ("licensed", "metered")) or "licensed"
    return {
        "interval": interval,
        "interval_count": terms.integer("interval_count", minimum=1, maximum=INTERVALS[interval]) or 1,
        "meter": terms.text("meter"),
        "trial_period_days": terms.integer("trial_period_days", minimum=1, maximum=730),
        "usage_type": usage,
    }


def _active(body: Json) -> str:
    return "true" if body["active"] else "false"


def find(world: World, price_id: str, *, param: str | None = "price", status: int = 404) -> Json:
    body = world.store.get(kind=KIND, object_id=price_id)
    if body is None:
        raise missing(noun=KIND, object_id=price_id, param=param, status=status)
    return body


def create(world: World, call: Call) -> Json:
    return from_form(world, call.form, origin=call.origin, allowed=CREATE_PARAMS, active=True)


def retrieve(world: World, call: Call) -> Json:
    Params(call.form, allowed=())
    return find(world, call.names["id"])


def update(world: World, call: Call) -> Json:
    """Only what is not about money can change."""
    params = Params(call.form, allowed=UPDATE_PARAMS)
    body = find(world, call.names["id"])
    change = Change(body)
    if (active := params.boolean("active")) is not None:
        body["active"] = active
    body["nickname"] = params.clearable_text("nickname", body["nickname"])
    body["lookup_key"] = params.clearable_text("lookup_key", body["lookup_key"])
    behaviour = params.choice("tax_behavior", ("exclusive", "inclusive", "unspecified"))
    body["tax_behavior"] = behaviour or body["tax_behavior"]
    body["metadata"] = params.metadata(body["metadata"])
    if change.keep(world, origin=call.origin, event_type="price.updated"):
        keys = [body["lookup_key"]] if body["lookup_key"] else []
        world.store.relabel(kind=KIND, object_id=body["id"], name="active", values=[_active(body)])
        world.store.relabel(kind=KIND, object_id=body["id"], name="lookup_key", values=keys)
    return body


def list_all(world: World, call: Call) -> Json:
    names = ("active", "created", "currency", "lookup_keys", "product", "recurring", "type")
    params = Params(call.form, allowed=(*PAGING, *names))
    labels = {name: [value] for name in ("product", "currency", "type") if (value := params.text(name))}
    if (active := params.boolean("active")) is not None:
        labels["active"] = ["true" if active else "false"]
    if params.has("lookup_keys"):
        labels["lookup_key"] = params.strings("lookup_keys")
    recurring = Params(params.mapping("recurring") or {}, allowed=("interval", "meter", "usage_type"))
    labels |= {name: [value] for name in ("interval", "usage_type") if (value := recurring.text(name))}
    return page(world, params, kind=KIND, url="/v1/prices", labels=labels)


ROUTES = (
    ("GET", "/v1/prices", list_all),
    ("POST", "/v1/prices", create),
    ("GET", "/v1/prices/{id}", retrieve),
    ("POST", "/v1/prices/{id}", update),
)
