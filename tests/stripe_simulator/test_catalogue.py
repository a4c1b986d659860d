"""Products and prices, driven by the official SDK."""

import pytest
import stripe

from tests.stripe_simulator.shapes import missing_fields

MONTHLY = {"currency": "usd", "unit_amount": 2000, "recurring": {"interval": "month"}}


@pytest.fixture
def product(client):
    return client.v1.products.create({"name": "Pro"})


@pytest.fixture
def make_price(client, product):
    def make(**params):
        return client.v1.prices.create({"product": product.id, **MONTHLY, **params})

    return make


def ids(page):
    return [one.id for one in page.data]


def test_a_product_and_its_price_carry_every_field(client, stripe_sim, product, make_price):
    price = make_price(nickname="Monthly", metadata={"plan": "pro"})

    assert (missing_fields(product), missing_fields(price)) == ([], [])
    found = client.v1.prices.retrieve(price.id, {"expand": ["product"]})
    assert (found.product.name, found.unit_amount, str(found.unit_amount_decimal)) == ("Pro", 2000, "2000")
    assert (found.type, found.recurring.interval, found.recurring.usage_type) == (
        "recurring",
        "month",
        "licensed",
    )
    assert stripe_sim.event_types() == ["product.created", "price.created"]


def test_a_price_brings_its_product_along(client):
    price = client.v1.prices.create(
        {
            "currency": "EUR",
            "unit_amount": 500,
            "product_data": {"name": "Setup", "metadata": {"a": "b"}},
            "metadata": {"line_item_index": "0"},
        }
    )
    assert (price.type, price.recurring, price.currency, price.active) == ("one_time", None, "eur", True)
    assert client.v1.products.retrieve(price.product).name == "Setup"


def test_a_price_of_fractions_has_no_whole_amount(client, product):
    params = {"product": product.id, "currency": "usd", "unit_amount_decimal": "0.5"}
    found = client.v1.prices.create({**params, "recurring": {"interval": "month"}})
    assert (found.unit_amount, str(found.unit_amount_decimal)) == (None, "0.5")
    assert client.v1.prices.create({**params, "unit_amount_decimal": "3.0"}).unit_amount == 3


def test_prices_are_found_by_what_they_are(client, product, make_price):
    monthly = make_price()
    metered = make_price(recurring={"interval": "month", "usage_type": "metered"})
    yearly = make_price(recurring={"interval": "year"}, lookup_key="yearly")
    once = client.v1.prices.create({"currency": "eur", "unit_amount": 1, "product_data": {"name": "x"}})
    retired = make_price(active=False)

    def listed(**params):
        return ids(client.v1.prices.list(params))

    assert listed(active=True) == [once.id, yearly.id, metered.id, monthly.id]
    assert listed(active=False) == [retired.id]
    assert listed(type="one_time") == [once.id]
    assert listed(product=product.id, active=True, limit=1) == [yearly.id]
    assert listed(recurring={"interval": "year"}) == listed(lookup_keys=["yearly"]) == [yearly.id]
    assert listed(recurring={"usage_type": "metered"}) == [metered.id]
    assert listed(currency="eur") == [once.id]


def test_only_what_is_not_money_changes(client, stripe_sim, make_price):
    price = make_price(nickname="Old", lookup_key="k")
    changed = client.v1.prices.update(price.id, {"active": False, "nickname": "New", "lookup_key": ""})
    assert (changed.active, changed.nickname, changed.lookup_key) == (False, "New", None)
    event = stripe_sim.get("/v1/events", type="price.updated")["data"][0]
    assert event["data"]["previous_attributes"] == {"active": True, "nickname": "Old", "lookup_key": "k"}
    assert ids(client.v1.prices.list({"active": False})) == [price.id]
    assert ids(client.v1.prices.list({"lookup_keys": ["k"]})) == []
    with pytest.raises(stripe.InvalidRequestError, match="unknown parameter"):
        client.v1.prices.update(price.id, {"unit_amount": 1})


def test_a_product_is_changed_and_goes_only_without_prices(client, stripe_sim, product, make_price):
    client.v1.products.update(product.id, {"name": "Max", "active": False, "description": "More"})
    assert ids(client.v1.products.list({"active": False})) == [product.id]
    event = stripe_sim.get("/v1/events", type="product.updated")["data"][0]
    assert event["data"]["previous_attributes"]["name"] == "Pro"
    make_price()
    with pytest.raises(stripe.InvalidRequestError, match="cannot be deleted"):
        client.v1.products.delete(product.id)
    lone = client.v1.products.create({"name": "Lone", "id": "prod_mine"})
    assert client.v1.products.delete(lone.id).deleted is True
    with pytest.raises(stripe.InvalidRequestError, match="No such product"):
        client.v1.products.retrieve("prod_mine")
    assert stripe_sim.event_types()[-1] == "product.deleted"


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"product": "prod_none"}, "No such product"),
        ({"currency": "dollars"}, "Invalid currency"),
        ({"unit_amount": -1}, "greater than or equal to 0"),
        ({"unit_amount": "1.5"}, "Invalid integer"),
        ({"recurring": {"interval": "decade"}}, "Invalid interval"),
        ({"recurring": {"interval": "year", "interval_count": 4}}, "less than or equal to 3"),
        ({"product_data": {"name": "x"}}, "exactly one of product"),
        ({"surprise": "1"}, "unknown parameter"),
    ],
)
def test_nonsense_makes_no_price(client, stripe_sim, make_price, params, complaint):
    with pytest.raises(stripe.InvalidRequestError, match=complaint):
        make_price(**params)
    assert stripe_sim.control("/_sim/state")["objects"]["price"] == 0
