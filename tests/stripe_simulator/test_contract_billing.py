"""The objects that billing meets, field by field as Stripe describes them, in the states they go through."""

import copy

import pytest

from tests.stripe_simulator import contract
from tests.stripe_simulator.shop import Shop
from tests.support.sdk_params import assert_log_matches, assert_params_match

KINDS = {
    "billing_portal.configuration",
    "billing_portal.session",
    "charge",
    "checkout.session",
    "customer",
    "dispute",
    "event",
    "invoice",
    "invoice_payment",
    "item",
    "line_item",
    "payment_intent",
    "payment_link",
    "payment_method",
    "price",
    "product",
    "refund",
    "setup_intent",
    "subscription",
    "subscription_item",
}


def _live_through_everything(shop: Shop) -> None:
    """Bring each kind of object about, in as many of its states as few calls can."""
    client, simulator = shop.client, shop.simulator
    told = {"metadata": {"operation_key": "op"}}
    buyer = shop.act(shop.subscribe(**told, subscription_data=told), "pay")["session"]["customer"]
    shop.act(shop.subscribe(subscription_data={"trial_period_days": 3}), "pay")
    shop.act(shop.subscribe(), "pay", method="us_bank_account")
    client.v1.checkout.sessions.expire(shop.subscribe(customer=buyer).id)
    shop.session(mode="setup", currency="usd", customer=buyer)
    shop.act(shop.session(mode="setup", currency="usd"), "pay")
    shop.act(shop.sell(), "fail")
    invoicing = {"enabled": True, "invoice_data": told}
    sold = shop.act(shop.sell(invoice_creation=invoicing, customer_creation="always"), "pay")["session"]
    charge = client.v1.payment_intents.retrieve(sold["payment_intent"]).latest_charge
    client.v1.refunds.create(params={"charge": charge, "amount": 100})
    simulator.control(f"/_sim/charges/{charge}/dispute", {"amount": 100})
    lines = [
        {"price_data": {"currency": "usd", "unit_amount": 100, "product_data": {"name": "x"}}, "quantity": 1}
    ]
    after = {"type": "redirect", "redirect": {"url": "https://shop.example/thanks"}}
    link = client.v1.payment_links.create(
        params={
            "line_items": lines,
            "after_completion": after,
            "restrictions": {"completed_sessions": {"limit": 9}},
        }
    )
    simulator.control(f"/_sim/payment_links/{link.id}/pay", {})
    client.v1.payment_links.create(params={"line_items": [{"price": shop.monthly, "quantity": 1}]})
    portal = client.v1.billing_portal.sessions.create(
        params={"customer": buyer, "flow_data": {"type": "payment_method_update"}}
    )
    for verb in ("cancel", "resume", "card"):
        simulator.control(f"/_sim/portal/{portal.id}/{verb}", {})
    simulator.control(f"/_sim/portal/{portal.id}/plan", {"price": shop.bigger})


@pytest.fixture
def lived(shop: Shop) -> Shop:
    _live_through_everything(shop)
    return shop


LISTS = (
    "billing_portal/configurations",
    "charges",
    "checkout/sessions",
    "customers",
    "disputes",
    "events",
    "invoice_payments",
    "invoices",
    "payment_intents",
    "payment_links",
    "prices",
    "products",
    "refunds",
    "setup_intents",
    "subscriptions?status=all",
)


def test_every_object_is_as_stripe_describes_it(lived):
    simulator = lived.simulator
    found = []
    for path in LISTS:
        base, _, query = path.partition("?")
        filters = {"status": "all"} if query else {}
        found += simulator.get(f"/v1/{base}", limit=100, **filters)["data"]
    for session in simulator.get("/v1/checkout/sessions", limit=100)["data"]:
        found += simulator.get(f"/v1/checkout/sessions/{session['id']}/line_items")["data"]
    for customer in simulator.get("/v1/customers", limit=100)["data"]:
        found += simulator.get(f"/v1/customers/{customer['id']}/payment_methods")["data"]
    for body in list(found):
        if body["object"] == "invoice":
            found += body["lines"]["data"]
        if body["object"] == "subscription":
            found += body["items"]["data"]
        if body["object"] == "event":
            found.append(body["data"]["object"])

    wrong = sorted({difference for body in found for difference in contract.differences(body)})

    assert wrong == []
    assert {body["object"] for body in found} >= KINDS


def test_every_request_of_this_story_is_one_that_the_sdk_allows(lived):
    assert assert_log_matches(lived.simulator) >= 20


def test_a_line_item_carries_its_price_and_an_expansion_whole_objects(lived):
    paths = ["data.customer", "data.subscription", "data.invoice", "data.payment_intent", "data.line_items"]
    query = {f"expand[{number}]": path for number, path in enumerate(paths)}

    for session in lived.simulator.get("/v1/checkout/sessions", limit=100, **query)["data"]:
        assert contract.differences(session) == []
        assert session["customer"] is None or session["customer"]["object"] == "customer"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": "finished"}, "is not one of"),
        ({"created": None}, "None is no int"),
        ({"automatic_tax": None}, "is not a hash"),
        ({"created": "now"}, "instead of integer"),
        ({"livemode": 0}, "instead of boolean"),
        ({"surprise": 1}, "unknown"),
        ({"metadata": {"a": 1}}, "metadata[a]: 1 is no str"),
        ({"total_details": {"amount_discount": 0}}, "missing"),
        ({"shipping_options": {}}, "instead of a list"),
    ],
)
def test_the_walker_sees_what_is_wrong_with_an_object(change, said, shop):
    body = shop.simulator.get(f"/v1/checkout/sessions/{shop.sell().id}")
    assert contract.differences(body) == []

    found = contract.differences({**copy.deepcopy(body), **change})

    assert any(said in text for text in found)
    del body["expires_at"]
    assert contract.differences(body) == ["checkout.session.expires_at: missing"]


GOOD = {
    "mode": "payment",
    "line_items": [{"price": "price_1", "quantity": 1}],
    "success_url": "https://a.example",
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mode": "pay"}, "mode: 'pay' is not one of"),
        ({"surprise": 1}, "surprise: unknown"),
        ({"expires_at": "1"}, "expires_at: '1' is no int"),
        ({"expires_at": True}, "expires_at: True is no int"),
        ({"line_items": {"price": "price_1"}}, "line_items: not a list"),
        ({"line_items": [{"price_data": {}}]}, r"line_items\[0\]\[price_data\]\[currency\]: missing"),
        ({"metadata": {"a": 1}}, r"metadata\[a\]: 1 is no str"),
        ({"idempotency_key": "k"}, "idempotency_key: unknown"),
    ],
)
def test_the_walker_sees_what_is_wrong_with_a_request(change, said):
    assert_params_match("/v1/checkout/sessions", "POST", GOOD)

    with pytest.raises(AssertionError, match=said):
        assert_params_match("/v1/checkout/sessions", "POST", {**GOOD, **change})


def test_a_request_from_the_wire_is_read_as_a_form():
    form = {**GOOD, "line_items": {"0": {"price": "price_1", "quantity": "2"}}, "expires_at": "1800000000"}

    assert_params_match("/v1/checkout/sessions", "POST", form, from_wire=True)
    with pytest.raises(AssertionError, match="quantity"):
        bad = {"0": {"price": "price_1", "quantity": "two"}}
        assert_params_match("/v1/checkout/sessions", "POST", {**form, "line_items": bad}, from_wire=True)
    with pytest.raises(AssertionError, match="no parameter type is listed"):
        assert_params_match("/v1/unheard_of", "POST", {})


def test_what_the_samples_have_and_the_api_has_no_more_is_unknown_to_the_sdk_too():
    for kind, names in contract.GONE.items():
        assert not names & contract.fields_of(kind)
