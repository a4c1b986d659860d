"""Customers and their payment methods, driven by the official SDK."""

import pytest
import stripe

from tests.stripe_simulator.shapes import missing_fields

ADDRESS = {"line1": "1 Main Street", "country": "US"}


def news(stripe_sim, event_type):
    """What the newest event of a type says: the object, and what was before."""
    data = stripe_sim.get("/v1/events", type=event_type)["data"][0]["data"]
    return data["object"], data.get("previous_attributes")


@pytest.fixture
def customer(client):
    return client.v1.customers.create({"email": "a@example.com", "name": "Ada", "metadata": {"k": "v"}})


@pytest.fixture
def card(client, customer):
    return client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})


def test_a_customer_carries_every_field_and_is_changed(client, stripe_sim, customer):
    assert missing_fields(customer) == []
    changed = client.v1.customers.update(
        customer.id, {"email": "b@example.com", "address": ADDRESS, "metadata": {"k": "", "n": "1"}}
    )
    assert (changed.email, changed.address.line1, changed.metadata.to_dict()) == (
        "b@example.com",
        "1 Main Street",
        {"n": "1"},
    )
    _, before = news(stripe_sim, "customer.updated")
    assert before == {"email": "a@example.com", "address": None, "metadata": {"k": "v", "n": None}}
    by_mail = client.v1.customers.list({"email": "b@example.com"})
    assert [one.id for one in by_mail.data] == [customer.id]
    assert client.v1.customers.list({"email": "a@example.com"}).data == []


def test_a_customer_is_made_with_its_default_card(client, stripe_sim):
    made = client.v1.customers.create({"payment_method": "pm_card_visa"})
    (method,) = client.v1.customers.payment_methods.list(made.id).data
    client.v1.customers.update(made.id, {"invoice_settings": {"default_payment_method": method.id}})
    found = client.v1.customers.retrieve(made.id, {"expand": ["invoice_settings.default_payment_method"]})
    assert found.invoice_settings.default_payment_method.card.last4 == "4242"
    _, before = news(stripe_sim, "customer.updated")
    assert before == {"invoice_settings": {"default_payment_method": None}}


def test_only_a_method_of_its_own_becomes_the_default(client, customer, card):
    other = client.v1.customers.create({})
    for method, complaint in ((card.id, "does not have a payment method"), ("pm_none", "No such Payment")):
        with pytest.raises(stripe.InvalidRequestError, match=complaint):
            client.v1.customers.update(other.id, {"invoice_settings": {"default_payment_method": method}})


def test_a_deleted_customer_leaves_a_tombstone_and_nothing_running(client, stripe_sim, customer, card):
    price = stripe_sim.price()["id"]
    subscription = stripe_sim.subscribe(customer.id, price)

    assert client.v1.customers.delete(customer.id).deleted is True

    assert client.v1.customers.retrieve(customer.id).to_dict() == {
        "id": customer.id,
        "object": "customer",
        "deleted": True,
    }
    assert client.v1.subscriptions.retrieve(subscription["id"]).status == "canceled"
    assert client.v1.payment_methods.retrieve(card.id).customer is None
    assert client.v1.customers.list().data == []
    assert stripe_sim.event_types()[-2:] == ["customer.subscription.deleted", "customer.deleted"]
    for call in (client.v1.customers.update, client.v1.customers.delete):
        with pytest.raises(stripe.InvalidRequestError, match="No such customer") as refused:
            call(customer.id)
        assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")
    expanded = client.v1.subscriptions.retrieve(subscription["id"], {"expand": ["customer"]})
    assert expanded.customer.deleted is True


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"type": "card", "card": {"number": "5555555555554444"}}, ("mastercard", "4444")),
        (
            {
                "type": "us_bank_account",
                "us_bank_account": {"routing_number": "110000000", "account_number": "000123456789"},
            },
            ("STRIPE TEST BANK", "6789"),
        ),
        ({"type": "sepa_debit", "sepa_debit": {"iban": "DE89 3704 0044 0532 0130 00"}}, ("37040044", "3000")),
    ],
)
def test_each_kind_of_method_is_made_attached_and_listed(client, stripe_sim, customer, params, told):
    method = client.v1.payment_methods.create(params)
    assert (missing_fields(method), method.customer) == ([], None)
    client.v1.payment_methods.attach(method.id, {"customer": customer.id})

    (found,) = client.v1.payment_methods.list({"customer": customer.id, "type": params["type"]}).data

    details = found.to_dict()[params["type"]]
    name = {"card": "brand", "us_bank_account": "bank_name", "sepa_debit": "bank_code"}[params["type"]]
    assert (details[name], details["last4"]) == told
    assert news(stripe_sim, "payment_method.attached")[0]["customer"] == customer.id
    assert client.v1.customers.payment_methods.retrieve(customer.id, method.id).id == method.id


def test_a_detached_method_is_told_and_never_attached_again(client, stripe_sim, customer, card):
    client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": card.id}})

    assert client.v1.payment_methods.detach(card.id).customer is None

    body, before = news(stripe_sim, "payment_method.detached")
    assert (body["customer"], before) == (None, {"customer": customer.id})
    assert client.v1.customers.retrieve(customer.id).invoice_settings.default_payment_method is None
    assert client.v1.payment_methods.list({"customer": customer.id}).data == []
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        client.v1.payment_methods.attach(card.id, {"customer": customer.id})
    with pytest.raises(stripe.InvalidRequestError, match="not attached"):
        client.v1.payment_methods.detach(card.id)


def test_an_expiry_is_changed_by_the_owner_or_by_the_bank(client, stripe_sim, customer, card):
    client.v1.payment_methods.update(card.id, {"card": {"exp_month": 1, "exp_year": 2031}})
    body, before = news(stripe_sim, "payment_method.updated")
    assert (body["card"]["exp_month"], body["card"]["exp_year"]) == (1, 2031)
    assert before["card"]["exp_month"] == 12

    stripe_sim.control(f"/_sim/payment_methods/{card.id}", {"exp_year": 2035, "last4": "9999"})
    body, before = news(stripe_sim, "payment_method.automatically_updated")
    assert (body["card"]["exp_year"], body["card"]["last4"]) == (2035, "9999")
    assert before == {"card": {"exp_year": 2031, "last4": "4242"}}


def test_a_card_that_declines_is_refused_and_leaves_nothing(client, stripe_sim, customer):
    with pytest.raises(stripe.CardError) as refused:
        client.v1.payment_methods.attach("pm_card_chargeDeclined", {"customer": customer.id})
    assert (refused.value.http_status, refused.value.code) == (402, "card_declined")
    assert client.v1.payment_methods.list({"customer": customer.id}).data == []
    with pytest.raises(stripe.CardError, match="non test card"):
        client.v1.payment_methods.create({"type": "card", "card": {"number": "4111111111111112"}})
    assert stripe_sim.control("/_sim/state")["objects"]["payment_method"] == 0


def test_another_customers_method_cannot_be_taken(client, card):
    other = client.v1.customers.create({})
    with pytest.raises(stripe.InvalidRequestError, match="already been attached"):
        client.v1.payment_methods.attach(card.id, {"customer": other.id})
    with pytest.raises(stripe.InvalidRequestError, match="No such PaymentMethod"):
        client.v1.customers.payment_methods.retrieve(other.id, card.id)


def test_methods_are_paged(client, stripe_sim, customer):
    for _ in range(3):
        client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    first = client.v1.payment_methods.list({"customer": customer.id, "limit": 2})
    assert (len(first.data), first.has_more) == (2, True)
    rest = client.v1.payment_methods.list({"customer": customer.id, "starting_after": first.data[-1].id})
    assert (len(rest.data), rest.has_more) == (1, False)
