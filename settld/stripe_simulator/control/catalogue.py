"""A price with its product in one go, for tests and demos that need something to sell."""

from collections.abc import Callable

from settld.stripe_simulator.control.fields import BadControl, boolean, integer, known, text, texts
from settld.stripe_simulator.forms import encode
from settld.stripe_simulator.resources import prices
from settld.stripe_simulator.wire import Json
from settld.stripe_simulator.world import PROVIDER, World


def make_price(world: World, body: Json) -> Json:
    """The parameters of `POST /v1/prices`, less deep: with `interval` the price is recurring.

    Without `product` it gets one called `name`. The answer is the price.
    """
    known(
        body,
        "active",
        "currency",
        "interval",
        "interval_count",
        "lookup_key",
        "metadata",
        "name",
        "nickname",
        "product",
        "unit_amount",
        "usage_type",
    )
    if integer(body, "unit_amount") is None:
        raise BadControl("unit_amount is missing: minor units")
    form: Json = {
        "active": boolean(body, "active"),
        "currency": text(body, "currency", "usd"),
        "lookup_key": text(body, "lookup_key"),
        "metadata": texts(body, "metadata") or None,
        "nickname": text(body, "nickname"),
        "product": text(body, "product"),
        "unit_amount": integer(body, "unit_amount"),
    }
    if form["product"] is None:
        form["product_data"] = {"name": text(body, "name", "Something")}
    if (interval := text(body, "interval")) is not None:
        form["recurring"] = {
            "interval": interval,
            "interval_count": integer(body, "interval_count"),
            "usage_type": text(body, "usage_type"),
        }
    return prices.from_form(world, encode(form), origin=PROVIDER, allowed=prices.CREATE_PARAMS, active=True)


CONTROLS: dict[str, Callable[..., Json]] = {"POST /_sim/prices": make_price}
