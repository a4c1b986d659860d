"""Invoices, what pays them, and refunds; driven by the official SDK."""

import pytest
import stripe

from tests.stripe_simulator.shapes import missing_fields
from tests.support.simulator import ControlRefused


@pytest.fixture
def customer(stripe_sim):
    return stripe_sim.customer(email="a@example.com", name="Ada")["id"]


@pytest.fixture
def subscription(stripe_sim, customer):
    price = stripe_sim.price()["id"]
    return stripe_sim.subscribe(customer, price, metadata={"operation_key": "k"})


@pytest.fixture
def invoice(client, subscription):
    return client.v1.invoices.retrieve(subscription["latest_invoice"])


@pytest.fixture
def failed(stripe_sim, subscription):
    """The open invoice of a renewal that was not paid."""
    return stripe_sim.provoke(subscription["id"], "fail_payment")["latest_invoice"]


def test_an_invoice_has_the_shapes_of_basil(client, invoice, subscription):
    body = invoice.to_dict()
    assert missing_fields(body) == []
    for name in ("paid", "subscription", "payment_intent", "charge", "payments", "subscription_details"):
        assert name not in body
    assert body["parent"] == {
        "type": "subscription_details",
        "quote_details": None,
        "subscription_details": {
            "metadata": {"operation_key": "k"},
            "subscription": subscription["id"],
        },
    }
    assert (body["status"], body["amount_due"], body["amount_paid"], body["amount_remaining"]) == (
        "paid",
        2000,
        2000,
        0,
    )
    assert (body["customer_email"], body["number"][-5:]) == ("a@example.com", "-0001")
    (line,) = body["lines"]["data"]
    assert missing_fields(line) == []
    assert line["pricing"]["price_details"]["price"] == subscription["items"]["data"][0]["price"]["id"]
    assert client.v1.invoices.line_items.list(invoice.id).data[0].id == line["id"]


def test_payments_show_only_when_expanded(client, invoice):
    found = client.v1.invoices.retrieve(invoice.id, {"expand": ["payments", "parent.subscription_details"]})
    (payment,) = found.payments.data
    assert (missing_fields(payment), payment.status, payment.amount_paid) == ([], "paid", 2000)
    (listed,) = client.v1.invoices.list({"expand": ["data.payments"]}).data
    assert listed.payments.data[0].payment.payment_intent == payment.payment.payment_intent
    intent = client.v1.payment_intents.retrieve(
        payment.payment.payment_intent, {"expand": ["latest_charge", "payment_method"]}
    )
    assert missing_fields(intent) == []
    assert (intent.status, intent.amount_received, intent.latest_charge.paid) == ("succeeded", 2000, True)
    assert intent.payment_method.card.last4 == "4242"
    assert missing_fields(intent.latest_charge) == []


def test_invoice_payments_are_listed_by_invoice_and_intent(client, stripe_sim, subscription, invoice, failed):
    (paid,) = client.v1.invoice_payments.list({"invoice": invoice.id}).data
    assert client.v1.invoice_payments.retrieve(paid.id).invoice == invoice.id
    by_intent = {"payment": {"type": "payment_intent", "payment_intent": paid.payment.payment_intent}}
    assert [one.id for one in client.v1.invoice_payments.list(by_intent).data] == [paid.id]
    (waiting,) = client.v1.invoice_payments.list({"status": "open"}).data
    assert (waiting.invoice, waiting.amount_paid) == (failed, None)
    told = stripe_sim.get("/v1/events", type="invoice_payment.paid")["data"]
    assert [event["data"]["object"]["id"] for event in told] == [paid.id]


def test_invoices_are_listed_by_what_they_are(client, stripe_sim, customer, subscription, invoice, failed):
    other = stripe_sim.subscribe(stripe_sim.customer()["id"], stripe_sim.price()["id"])

    def listed(**params):
        return [one.id for one in client.v1.invoices.list(params).data]

    assert listed(customer=customer) == listed(subscription=subscription["id"]) == [failed, invoice.id]
    assert listed(status="open") == [failed]
    assert listed(status="paid") == [other["latest_invoice"], invoice.id]
    assert listed(customer=customer, status="paid", created={"gte": invoice.created}) == [invoice.id]
    assert listed(created={"lt": invoice.created}) == []


def test_one_intent_fails_and_then_pays(client, stripe_sim, customer, failed):
    before = client.v1.invoices.retrieve(failed, {"expand": ["payments"]})
    assert (before.status, before.attempt_count, before.amount_remaining) == ("open", 1, 2000)
    intent = before.payments.data[0].payment.payment_intent
    error = client.v1.payment_intents.retrieve(intent).last_payment_error
    assert (error.code, error.decline_code) == ("card_declined", "generic_decline")

    paid = client.v1.invoices.pay(failed, {"expand": ["payments"]})

    assert (paid.status, paid.payments.data[0].payment.payment_intent) == ("paid", intent)
    charges = client.v1.charges.list({"payment_intent": intent}).data
    assert [charge.status for charge in charges] == ["succeeded", "failed"]
    with pytest.raises(stripe.InvalidRequestError, match="already paid"):
        client.v1.invoices.pay(failed)


def test_a_decline_is_an_error_and_still_a_try(client, stripe_sim, customer, failed):
    stripe_sim.control(f"/_sim/customers/{customer}/card", {"charges": "fails"})
    params, options = {}, {"idempotency_key": "pay-1"}
    for _ in range(2):
        with pytest.raises(stripe.CardError) as refused:
            client.v1.invoices.pay(failed, params, options)
        assert (refused.value.http_status, refused.value.code) == (402, "card_declined")
    assert client.v1.invoices.retrieve(failed).attempt_count == 2


def test_money_that_comes_later_leaves_the_invoice_open(client, stripe_sim, customer, failed):
    stripe_sim.control(f"/_sim/customers/{customer}/card", {"charges": "later"})
    waiting = client.v1.invoices.pay(failed, {"expand": ["payments"]})
    intent = waiting.payments.data[0].payment.payment_intent
    assert (waiting.status, client.v1.payment_intents.retrieve(intent).status) == ("open", "processing")
    stripe_sim.control(f"/_sim/payment_intents/{intent}/settle", {"succeeds": True})
    assert client.v1.invoices.retrieve(failed).status == "paid"
    assert client.v1.charges.list({"payment_intent": intent}).data[0].status == "succeeded"
    with pytest.raises(ControlRefused, match="not processing"):
        stripe_sim.control(f"/_sim/payment_intents/{intent}/settle", {"succeeds": True})


def test_money_that_never_came_makes_it_past_due(client, stripe_sim, customer, subscription):
    stripe_sim.control(f"/_sim/customers/{customer}/card", {"charges": "later"})
    renewed = stripe_sim.provoke(subscription["id"], "renew")
    assert renewed["status"] == "active"
    found = client.v1.invoices.retrieve(renewed["latest_invoice"], {"expand": ["payments"]})
    intent = found.payments.data[0].payment.payment_intent
    stripe_sim.control(f"/_sim/payment_intents/{intent}/settle", {"succeeds": False})
    assert client.v1.subscriptions.retrieve(subscription["id"]).status == "past_due"
    assert stripe_sim.event_types()[-2:] == ["invoice.payment_failed", "customer.subscription.updated"]


def test_money_that_came_another_way_cancels_the_payment(client, stripe_sim, subscription, failed):
    paid = client.v1.invoices.pay(failed, {"paid_out_of_band": True, "expand": ["payments"]})
    assert (paid.status, paid.payments.data[0].status) == ("paid", "canceled")
    assert client.v1.subscriptions.retrieve(subscription["id"]).status == "active"
    assert client.v1.payment_intents.list().data[0].status == "canceled"


def test_an_open_invoice_is_voided_or_given_up(client, stripe_sim, failed):
    given_up = client.v1.invoices.mark_uncollectible(failed)
    assert given_up.status == "uncollectible"
    void = client.v1.invoices.void_invoice(failed)
    assert (void.status, void.status_transitions.voided_at is not None) == ("void", True)
    assert "invoice.voided" in stripe_sim.event_types()
    for call in (client.v1.invoices.void_invoice, client.v1.invoices.finalize_invoice):
        with pytest.raises(stripe.InvalidRequestError):
            call(failed)
    assert client.v1.payment_intents.list().data[0].status == "canceled"


def test_a_charge_is_refunded_in_part_and_then_the_rest(client, stripe_sim, invoice):
    balance = client.v1.balance.retrieve().available[0].amount
    intent = client.v1.payment_intents.list().data[0]
    first = client.v1.refunds.create({"payment_intent": intent.id, "amount": 500, "metadata": {"a": "b"}})
    assert (missing_fields(first), first.status, first.charge) == ([], "succeeded", intent.latest_charge)
    rest = client.v1.refunds.create({"charge": intent.latest_charge, "reason": "duplicate"})
    assert (rest.amount, client.v1.refunds.retrieve(rest.id).reason) == (1500, "duplicate")
    charge = client.v1.charges.retrieve(intent.latest_charge)
    assert (charge.amount_refunded, charge.refunded) == (2000, True)
    assert client.v1.balance.retrieve().available[0].amount == balance - 2000
    assert [one.id for one in client.v1.refunds.list({"payment_intent": intent.id}).data] == [
        rest.id,
        first.id,
    ]
    assert stripe_sim.event_types()[-4:] == ["refund.created", "charge.refunded"] * 2
    with pytest.raises(stripe.InvalidRequestError, match="already been refunded"):
        client.v1.refunds.create({"charge": intent.latest_charge})


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({}, "One of the following params"),
        ({"charge": "ch_none"}, "No such charge"),
        ({"payment_intent": "pi_none"}, "No such payment_intent"),
        ({"charge": "{charge}", "amount": 2001}, "greater than unrefunded"),
        ({"charge": "{charge}", "amount": 0}, "greater than or equal to 1"),
    ],
)
def test_nonsense_refunds_nothing(client, invoice, params, complaint):
    charge = client.v1.charges.list().data[0].id
    given = {k: charge if v == "{charge}" else v for k, v in params.items()}
    with pytest.raises(stripe.InvalidRequestError, match=complaint):
        client.v1.refunds.create(given)
    assert client.v1.refunds.list().data == []


def test_the_door_refunds_and_disputes_what_subscribers_paid(client, stripe_sim, invoice):
    charge = client.v1.charges.list().data[0].id
    stripe_sim.control("/_sim/refunds", {"charge": charge, "amount": 100})
    assert client.v1.charges.retrieve(charge).amount_refunded == 100
    stripe_sim.control(f"/_sim/charges/{charge}/dispute", {})
    assert client.v1.charges.retrieve(charge).disputed is True


def test_an_intent_of_the_api_is_confirmed_or_declined(client, customer):
    good = client.v1.payment_intents.create(
        {"amount": 100, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    )
    assert (good.status, good.amount_received) == ("succeeded", 100)
    waiting = client.v1.payment_intents.create({"amount": 100, "currency": "usd", "customer": customer})
    with pytest.raises(stripe.CardError) as refused:
        client.v1.payment_intents.confirm(waiting.id, {"payment_method": "pm_card_chargeCustomerFail"})
    assert refused.value.error.payment_intent.id == waiting.id
    after = client.v1.payment_intents.retrieve(waiting.id)
    assert (after.status, after.last_payment_error.code) == ("requires_payment_method", "card_declined")
    assert client.v1.payment_intents.cancel(waiting.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError, match="status of canceled"):
        client.v1.payment_intents.cancel(waiting.id)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/_sim/prices", {}),
        ("/_sim/prices", {"unit_amount": 1, "interval": "decade"}),
        ("/_sim/prices", {"unit_amount": 1, "typo": 1}),
        ("/_sim/customers", {"email": 5}),
        ("/_sim/customers", {"metadata": {"a": 1}}),
        ("/_sim/customers/cus_none/card", {}),
        ("/_sim/customers/{customer}/card", {"charges": "maybe"}),
        ("/_sim/customers/{customer}/card", {"exp_month": 13}),
        ("/_sim/customers/{customer}/card", {"number": "4000000000000002"}),
        ("/_sim/payment_methods/pm_none", {}),
        ("/_sim/payment_intents/pi_none/settle", {}),
        ("/_sim/refunds", {"charge": "ch_none"}),
        ("/_sim/subscriptions", {"customer": "{customer}"}),
        ("/_sim/subscriptions", {"customer": "{customer}", "price": "price_none"}),
        ("/_sim/subscriptions", {"customer": "{customer}", "price": "price_none", "pays": "no"}),
        ("/_sim/subscriptions/sub_none/renew", {}),
        ("/_sim/subscriptions/sub_none/status", {"status": "canceled"}),
        ("/_sim/settings", {"billing_mode": "barter"}),
        ("/_sim/settings", {"after_failed_retries": "shrug"}),
    ],
)
def test_the_door_refuses_what_makes_no_sense(stripe_sim, customer, path, body):
    before = stripe_sim.control("/_sim/state")["objects"]
    given = {k: customer if v == "{customer}" else v for k, v in body.items()}
    with pytest.raises(ControlRefused, match=r"^4"):
        stripe_sim.control(path.format(customer=customer), given)
    assert stripe_sim.control("/_sim/state")["objects"] == before
