"""The provider's shapes, new and legacy, read without trust (spec 5.0)."""

import pytest

from billing.provider_time import ProviderTime
from billing.providers import shapes
from billing.providers.shapes import ShapeError

T = ProviderTime


def subscription(**changes):
    return {
        "id": "sub_1",
        "object": "subscription",
        "status": "active",
        "created": 100,
        "customer": "cus_1",
        "cancel_at_period_end": False,
        "items": {
            "object": "list",
            "data": [item("si_1", "price_1", 500), item("si_2", {"id": "price_2", "object": "price"}, 400)],
        },
        "metadata": {"operation_key": "k", "billable_entity_id": "7"},
    } | changes


def item(identity, price, end, **changes):
    return {
        "id": identity,
        "object": "subscription_item",
        "price": price,
        "current_period_end": end,
    } | changes


def invoice(**changes):
    return {
        "id": "in_1",
        "object": "invoice",
        "status": "open",
        "created": 100,
        "customer": "cus_1",
        "currency": "usd",
        "amount_due": 1500,
        "amount_paid": 0,
        "amount_remaining": 1500,
        "metadata": {},
        "parent": None,
    } | changes


@pytest.mark.parametrize(
    ("value", "identity"),
    [("cus_1", "cus_1"), ({"id": "cus_1", "object": "customer"}, "cus_1"), (None, None), ("", None)],
)
def test_an_id_may_be_text_or_the_object_it_names(value, identity):
    assert shapes.id_of(value) == identity


@pytest.mark.parametrize("value", [7, [], {}, {"id": 7}, "x" * 192, "a\x00b", True])
def test_an_id_of_another_form_is_refused(value):
    with pytest.raises(ShapeError):
        shapes.id_of(value)


def test_t098_the_period_ends_with_its_first_item():
    assert shapes.period_end(subscription()) == T(400)
    assert shapes.subscription_facts(subscription()).current_period_end == T(400)


def test_t098_the_legacy_period_end_counts_when_no_item_has_one():
    legacy = subscription(items={"data": [item("si_1", "price_1", None)]}, current_period_end=300)
    assert shapes.period_end(legacy) == T(300)
    assert shapes.period_end(subscription(items=None)) is None


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        ({"cancel_at_period_end": True}, True),
        ({"cancel_at": 400}, True),
        ({"cancel_at": 399}, True),
        ({"cancel_at": 401}, False),
        ({}, False),
        ({"cancel_at": 400, "items": None}, False),
    ],
)
def test_t099_a_date_of_ending_inside_the_period_ends_it_with_the_period(changes, ends):
    assert shapes.cancels_at_period_end(subscription(**changes)) is ends
    assert shapes.subscription_facts(subscription(**changes)).cancel_at_period_end is ends


def test_a_subscriptions_items_and_metadata_are_read():
    price = {
        "id": "price_3",
        "object": "price",
        "currency": "eur",
        "unit_amount": 1500,
        "product": {"id": "prod_1"},
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": "metered"},
    }
    facts = shapes.subscription_facts(subscription(items={"data": [item("si_1", price, 500, quantity=None)]}))
    (line,) = facts.items
    assert (line.price_id, line.product_id, line.usage_type, line.quantity) == (
        "price_3",
        "prod_1",
        "metered",
        None,
    )
    assert (line.currency, line.unit_amount, line.interval, line.interval_count) == ("EUR", 1500, "month", 1)
    assert (facts.operation_key, facts.billable_entity_id, facts.created) == ("k", "7", T(100))


def test_the_subscription_of_an_invoice_is_named_by_its_parent():
    new = {"type": "subscription_details", "subscription_details": {"subscription": {"id": "sub_1"}}}
    assert shapes.invoice_subscription_id(invoice(parent=new)) == "sub_1"
    quote = {"type": "quote_details", "quote_details": {}}
    assert shapes.invoice_subscription_id(invoice(parent=quote, subscription="sub_2")) == "sub_2"
    assert shapes.invoice_subscription_id(invoice(subscription="sub_2")) == "sub_2"
    assert shapes.invoice_subscription_id(invoice()) is None


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        (
            {
                "parent": {
                    "type": "subscription_details",
                    "subscription_details": {"metadata": {"operation_key": "new"}},
                },
                "metadata": {"operation_key": "own"},
            },
            "new",
        ),
        ({"metadata": {"operation_key": "own"}}, "own"),
        ({"subscription_details": {"metadata": {"operation_key": "legacy"}}}, "legacy"),
        ({"metadata": None}, None),
    ],
)
def test_the_operation_of_an_invoice_is_in_its_subscriptions_metadata_or_its_own(changes, key):
    assert shapes.invoice_facts(invoice(**changes)).operation_key == key


@pytest.mark.parametrize("kind", ["payment_intent", "charge", "payment_record"])
def test_t117_payments_that_were_expanded_have_their_real_ids(kind):
    row = {
        "object": "invoice_payment",
        "id": "inpay_1",
        "payment": {"type": kind, kind: "pay_1"},
        "status": "paid",
        "amount_paid": 1500,
        "status_transitions": {"paid_at": 200},
    }
    failed = row | {"status": "open", "payment": {"type": kind, kind: {"id": "pay_0"}}}
    facts = shapes.invoice_facts(invoice(payments={"object": "list", "data": [failed, row]}))
    assert facts.payment_id == "pay_1"
    assert [(p.id, p.kind, p.status, p.amount, p.paid_at) for p in facts.payments] == [
        ("pay_0", kind, "open", 1500, T(200)),
        ("pay_1", kind, "paid", 1500, T(200)),
    ]


@pytest.mark.parametrize("kind", ["payment_intent", "charge"])
def test_t117_a_legacy_invoice_names_its_payment_itself(kind):
    facts = shapes.invoice_facts(invoice(status="paid", **{kind: {"id": "pay_1"}}))
    assert (facts.payment_id, facts.payments[0].kind, facts.payments[0].status) == ("pay_1", kind, "paid")


def test_t117_an_invoice_in_a_webhook_names_no_payment():
    assert shapes.invoice_facts(invoice(status="paid")).payment_id is None


@pytest.mark.parametrize(("status", "paid"), [("paid", True), ("open", False)])
def test_only_its_status_says_that_an_invoice_is_paid(status, paid):
    assert shapes.invoice_facts(invoice(status=status, paid=not paid)).is_paid is paid


def test_an_invoices_amounts_and_moments_are_read():
    facts = shapes.invoice_facts(
        invoice(due_date=900, status_transitions={"finalized_at": 150, "paid_at": 200}, amount_paid=5)
    )
    assert (facts.amount_due, facts.amount_paid, facts.amount_remaining, facts.currency) == (
        1500,
        5,
        1500,
        "USD",
    )
    assert (facts.created, facts.issued_at, facts.due_at, facts.paid_at) == (T(100), T(150), T(900), T(200))
    assert shapes.invoice_facts(invoice()).issued_at == T(100)


def test_an_invoice_payment_says_what_paid_what():
    facts = shapes.invoice_payment_facts(
        {
            "id": "inpay_1",
            "object": "invoice_payment",
            "invoice": "in_1",
            "currency": "usd",
            "created": 5,
            "status": "paid",
            "amount_paid": 7,
            "payment": {"type": "payment_intent", "payment_intent": "pi_1"},
        }
    )
    assert (facts.invoice_id, facts.currency, facts.created) == ("in_1", "USD", T(5))
    assert (facts.payment.id, facts.payment.amount, facts.payment.paid_at) == ("pi_1", 7, None)


@pytest.mark.parametrize(
    ("method", "brand", "last4"),
    [
        ({"type": "card", "card": {"brand": "visa", "last4": "4242"}}, "visa", "4242"),
        (
            {
                "type": "us_bank_account",
                "us_bank_account": {"bank_name": "STRIPE TEST BANK", "last4": "6789"},
            },
            "STRIPE TEST BANK",
            "6789",
        ),
        (
            {"type": "sepa_debit", "sepa_debit": {"bank_code": "37040044", "last4": "3000"}},
            "37040044",
            "3000",
        ),
        ({"type": "link", "link": {}}, None, None),
    ],
)
def test_a_payment_methods_brand_is_its_cards_or_its_banks(method, brand, last4):
    facts = shapes.payment_method_facts({"id": "pm_1", "object": "payment_method"} | method)
    assert (facts.type, facts.brand, facts.last4) == (method["type"], brand, last4)


def test_a_cards_expiry_is_read():
    card = {"brand": "visa", "last4": "1", "exp_month": 8, "exp_year": 2030}
    facts = shapes.payment_method_facts(
        {"id": "pm_1", "object": "payment_method", "type": "card", "card": card}
    )
    assert (facts.exp_month, facts.exp_year, facts.customer_id) == (8, 2030, None)


def test_a_deleted_customer_has_only_an_id():
    facts = shapes.customer_facts({"id": "cus_1", "object": "customer", "deleted": True})
    assert (facts.is_deleted, facts.email, facts.default_payment_method_id) == (True, None, None)


def test_a_customers_default_payment_method_may_be_expanded():
    facts = shapes.customer_facts(
        {
            "id": "cus_1",
            "object": "customer",
            "email": "a@example.com",
            "invoice_settings": {"default_payment_method": {"id": "pm_1"}},
        }
    )
    assert (facts.email, facts.default_payment_method_id, facts.is_deleted) == (
        "a@example.com",
        "pm_1",
        False,
    )


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (shapes.session_facts, {"object": "checkout.session", "id": "cs_1"}),
        (shapes.session_facts, {"object": "checkout.session", "id": "cs_1", "status": "new"}),
        (shapes.session_facts, {"object": "subscription", "id": "cs_1", "status": "open"}),
        (shapes.session_facts, None),
        (shapes.session_facts, []),
        (
            shapes.session_facts,
            {"object": "checkout.session", "id": "c", "status": "open", "expires_at": "soon"},
        ),
        (
            shapes.session_facts,
            {"object": "checkout.session", "id": "c", "status": "open", "expires_at": 10**15},
        ),
        (
            shapes.session_facts,
            {"object": "checkout.session", "id": "c", "status": "open", "metadata": {"a": 1}},
        ),
        (shapes.session_facts, {"object": "checkout.session", "id": "c", "status": "open", "metadata": "x"}),
        (shapes.subscription_facts, subscription(customer=None)),
        (shapes.subscription_facts, subscription(created=None)),
        (shapes.subscription_facts, subscription(created=True)),
        (shapes.subscription_facts, subscription(items={"data": [{"id": "si_1"}]})),
        (shapes.subscription_facts, subscription(items={"data": 7})),
        (shapes.subscription_facts, subscription(cancel_at_period_end="no")),
        (shapes.invoice_facts, invoice(currency="dollars")),
        (shapes.invoice_facts, invoice(currency=None)),
        (shapes.invoice_facts, invoice(amount_due=1.5)),
        (shapes.invoice_facts, invoice(amount_due=2**60)),
        (shapes.invoice_facts, invoice(status=None)),
        (shapes.price_facts, {"object": "price", "id": "price_1", "currency": "usd"}),
        (shapes.payment_method_facts, {"object": "payment_method", "id": "pm_1"}),
        (shapes.portal_facts, {"object": "billing_portal.session", "id": "bps_1"}),
        (shapes.payment_link_facts, {"object": "payment_link", "id": "plink_1"}),
        (shapes.event_facts, {"object": "event", "id": "evt_1", "type": "x.y"}),
    ],
)
def test_a_wrong_shape_is_said_to_be_one(read, body):
    with pytest.raises(ShapeError):
        read(body)


def test_a_session_is_read_whole():
    facts = shapes.session_facts(
        {
            "id": "cs_1",
            "object": "checkout.session",
            "status": "complete",
            "mode": "subscription",
            "created": 1,
            "expires_at": 2,
            "url": None,
            "payment_status": "paid",
            "customer": {"id": "cus_1"},
            "customer_details": {"email": "a@example.com"},
            "subscription": {"id": "sub_1"},
            "invoice": "in_1",
            "payment_intent": None,
            "payment_link": "plink_1",
            "client_reference_id": "7",
            "amount_total": 1500,
            "currency": "usd",
            "metadata": {"operation_key": "k", "billable_entity_id": "7"},
        }
    )
    assert (facts.customer_id, facts.subscription_id, facts.invoice_id) == ("cus_1", "sub_1", "in_1")
    assert (facts.payment_link_id, facts.payment_intent_id, facts.url) == ("plink_1", None, None)
    assert (facts.customer_email, facts.amount_total, facts.currency) == ("a@example.com", 1500, "USD")
    assert (facts.created, facts.expires_at) == (T(1), T(2))
