"""Checkout sessions: made, found, expired, paid, through the official SDK and the control door."""

import pytest
import stripe

from tests.stripe_simulator.shop import CANCEL_URL, DECLINED, FAILING, SUCCESS_URL
from tests.support.simulator import ControlRefused

DAY, HALF_HOUR = 86_400, 1800
NOON = 1_800_000_000
PRICED = {"currency": "usd", "unit_amount": 700, "product_data": {"name": "Setup fee"}}


def freeze(simulator, at=NOON):
    simulator.control("/_sim/clock", {"now": at})


def test_a_session_is_open_with_a_page_of_the_simulator_and_can_be_read_again(shop, stripe_sim):
    metadata = {"operation_key": "op"}

    made = shop.subscribe(
        client_reference_id="7", metadata=metadata, subscription_data={"metadata": metadata}
    )

    assert made.id.startswith("cs_test_")
    assert (made.status, made.payment_status, made.mode) == ("open", "unpaid", "subscription")
    assert (made.amount_total, made.currency, made.client_reference_id) == (2900, "usd", "7")
    assert (made.success_url, made.cancel_url) == (SUCCESS_URL, CANCEL_URL)
    assert made.url == f"{stripe_sim.url}/c/pay/{made.id}"
    assert made.expires_at == made.created + DAY
    assert (made.customer, made.subscription, made.invoice, made.payment_intent) == (None, None, None, None)
    assert shop.client.v1.checkout.sessions.retrieve(made.id).to_dict() == made.to_dict()
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.client.v1.checkout.sessions.retrieve("cs_test_nobody")
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")


def test_line_items_are_listed_and_expanded(shop):
    lines = [{"price": shop.once, "quantity": 3}, {"price_data": PRICED, "quantity": 1}]
    made = shop.session(mode="payment", line_items=lines)

    listed = shop.client.v1.checkout.sessions.line_items.list(made.id).data
    expanded = shop.client.v1.checkout.sessions.retrieve(
        made.id, params={"expand": ["line_items"]}
    ).line_items

    assert [(one.description, one.quantity, one.amount_total) for one in listed] == [
        ("Team plan", 3, 1500),
        ("Setup fee", 1, 700),
    ]
    assert made.amount_total == 2200
    assert [one.id for one in expanded.data] == [one.id for one in listed]
    assert listed[1].price.active is False
    page = shop.client.v1.checkout.sessions.line_items.list(made.id, params={"limit": 1})
    assert (len(page.data), page.has_more) == (1, True)


@pytest.mark.parametrize(
    ("params", "param", "message"),
    [
        ({"success_url": None}, "success_url", "Missing required param: success_url"),
        ({"success_url": "thanks"}, "success_url", "Not a valid URL"),
        ({"cancel_url": "javascript:alert(1)"}, "cancel_url", "Not a valid URL"),
        ({"mode": None}, "mode", "Missing required param: mode"),
        ({"mode": "subscribe"}, "mode", "must be one of"),
        ({"surprise": "x"}, "surprise", "unknown parameter"),
        ({"line_items": None}, "line_items", "Missing required param: line_items"),
        ({"line_items": [{"price": "once"}]}, "line_items[0][quantity]", "Missing required param"),
        (
            {"line_items": [{"price": "once", "quantity": "many"}]},
            "line_items[0][quantity]",
            "Invalid integer",
        ),
        ({"line_items": [{"quantity": 1}]}, "line_items[0][price]", "either"),
        ({"line_items": [{"price": "price_none", "quantity": 1}]}, "line_items[0][price]", "No such price"),
        ({"line_items": [{"price": "retired", "quantity": 1}]}, "line_items[0][price]", "inactive"),
        ({"line_items": [{"price": "monthly", "quantity": 1}]}, "line_items[0][price]", "recurring price"),
        ({"mode": "subscription"}, "line_items", "at least one recurring price"),
        ({"subscription_data": {"trial_period_days": 3}}, "subscription_data", "in `payment` mode"),
        ({"mode": "subscription", "customer_creation": "always"}, "customer_creation", "`subscription` mode"),
        ({"customer": "cus_nobody"}, "customer", "No such customer"),
        ({"customer": "cus_nobody", "customer_email": "a@b.c"}, "customer_email", "only specify one"),
        ({"customer_email": "nobody"}, "customer_email", "Invalid email"),
        ({"expires_at": NOON + HALF_HOUR - 1}, "expires_at", "at least 30 minutes"),
        ({"expires_at": NOON + DAY + 1}, "expires_at", "less than 24 hours"),
        ({"discounts": [{"coupon": "x"}]}, "discounts", "does not simulate"),
        (
            {
                "line_items": [
                    {"price_data": {"currency": "usd", "product_data": {"name": "x"}}, "quantity": 1}
                ]
            },
            "line_items[0][price_data][unit_amount]",
            "unit_amount",
        ),
    ],
)
def test_what_stripe_refuses_is_refused_and_leaves_nothing(params, param, message, shop, stripe_sim):
    freeze(stripe_sim)
    if lines := params.get("line_items"):
        named = [
            {**line, "price": getattr(shop, line["price"], line["price"])}
            for line in lines
            if "price" in line
        ]
        params = {**params, "line_items": named or lines}
    asked = {"mode": "payment", "line_items": [{"price": shop.once, "quantity": 1}], **params}

    with pytest.raises(stripe.InvalidRequestError, match=message) as refused:
        shop.session(**asked)

    assert (refused.value.http_status, refused.value.param) == (400, param)
    assert shop.client.v1.checkout.sessions.list().data == []


@pytest.mark.parametrize("seconds", [HALF_HOUR, DAY])
def test_the_bounds_of_expires_at_are_allowed(seconds, shop, stripe_sim):
    freeze(stripe_sim)

    assert shop.sell(expires_at=NOON + seconds).expires_at == NOON + seconds


def test_a_key_replays_the_first_answer_even_when_the_session_has_changed(shop, stripe_sim):
    first = shop.subscribe(key="k1")
    shop.act(first, "pay")

    again = shop.subscribe(key="k1")

    assert again.to_dict() == first.to_dict()
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert shop.client.v1.checkout.sessions.retrieve(first.id).status == "complete"
    with pytest.raises(stripe.IdempotencyError):
        shop.subscribe(key="k1", client_reference_id="other")


def test_a_refused_parameter_stores_nothing_under_the_key(shop):
    with pytest.raises(stripe.InvalidRequestError):
        shop.subscribe(key="k2", success_url="no url")

    assert shop.subscribe(key="k2").status == "open"


def test_sessions_are_found_by_what_they_belong_to(shop, stripe_sim):
    sessions = shop.client.v1.checkout.sessions
    freeze(stripe_sim)
    paid = shop.subscribe()
    paid_session = shop.act(paid, "pay")["session"]
    freeze(stripe_sim, NOON + 10)
    bought = shop.act(shop.sell(), "pay")["session"]
    freeze(stripe_sim, NOON + 20)
    waiting = shop.sell()

    def found(**filters):
        return [one.id for one in sessions.list(params=filters).data]

    assert found() == [waiting.id, bought["id"], paid.id]
    assert found(status="open") == [waiting.id]
    assert found(status="complete") == [bought["id"], paid.id]
    assert found(subscription=paid_session["subscription"]) == [paid.id]
    assert found(customer=paid_session["customer"]) == [paid.id]
    assert found(payment_intent=bought["payment_intent"]) == [bought["id"]]
    assert found(created={"gte": NOON + 10, "lte": NOON + 10}) == [bought["id"]]
    assert found(subscription="sub_nobody") == []
    first = sessions.list(params={"limit": 2})
    assert (first.has_more, found(limit=2, starting_after=first.data[-1].id)) == (True, [paid.id])
    assert [one.id for one in sessions.list(params={"limit": 1}).auto_paging_iter()] == found()


def test_only_an_open_session_can_be_expired(shop):
    made = shop.subscribe()

    expired = shop.client.v1.checkout.sessions.expire(made.id)

    assert (expired.status, expired.url) == ("expired", None)
    assert shop.events()[-1]["type"] == "checkout.session.expired"
    with pytest.raises(stripe.InvalidRequestError, match="can be expired") as refused:
        shop.client.v1.checkout.sessions.expire(made.id)
    assert refused.value.http_status == 400
    done = shop.act(shop.subscribe(), "pay")["session"]
    with pytest.raises(stripe.InvalidRequestError, match="complete"):
        shop.client.v1.checkout.sessions.expire(done["id"])


def test_a_session_expires_by_the_virtual_clock_with_an_event_of_that_second(shop, stripe_sim):
    freeze(stripe_sim)
    made = shop.subscribe(expires_at=NOON + HALF_HOUR)

    freeze(stripe_sim, NOON + HALF_HOUR - 1)
    still = shop.client.v1.checkout.sessions.retrieve(made.id).status
    freeze(stripe_sim, NOON + 2 * DAY)

    assert still == "open"
    assert shop.client.v1.checkout.sessions.retrieve(made.id).status == "expired"
    event = shop.events()[-1]
    assert (event["type"], event["created"]) == ("checkout.session.expired", NOON + HALF_HOUR)
    assert event["data"]["object"]["status"] == "expired"
    with pytest.raises(ControlRefused, match="expired"):
        shop.act(made, "pay")


def test_paying_a_subscription_tells_the_session_first_and_the_subscription_after(shop):
    metadata = {"operation_key": "op_1"}
    made = shop.subscribe(metadata=metadata, subscription_data={"metadata": metadata})
    before = shop.last_event()

    answer = shop.act(made, "pay", email="kim@example.com", name="Kim")

    session = answer["session"]
    assert answer["redirect"] == SUCCESS_URL.replace("{CHECKOUT_SESSION_ID}", made.id)
    assert (session["status"], session["payment_status"], session["url"]) == ("complete", "paid", None)
    assert session["customer_details"]["email"] == "kim@example.com"
    events = shop.events(after=before)
    assert [one["type"] for one in events] == [
        "customer.created",
        "payment_method.attached",
        "checkout.session.completed",
        "invoice.created",
        "invoice.finalized",
        "payment_intent.created",
        "customer.subscription.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice_payment.paid",
        "customer.subscription.updated",
    ]
    assert events[2]["data"]["object"] == session
    subscription = shop.client.v1.subscriptions.retrieve(session["subscription"])
    assert (subscription.status, subscription.customer) == ("active", session["customer"])
    assert subscription.metadata.to_dict() == metadata
    invoice = shop.client.v1.invoices.retrieve(session["invoice"])
    assert (invoice.status, invoice.amount_paid) == ("paid", 2900)
    assert shop.client.v1.customers.retrieve(session["customer"]).email == "kim@example.com"


def test_a_subscription_may_come_later_than_its_session(shop, stripe_sim):
    freeze(stripe_sim)
    made = shop.subscribe()

    session = shop.act(made, "pay", subscription_after_seconds=60)["session"]

    assert (session["status"], session["subscription"]) == ("complete", None)
    assert shop.client.v1.subscriptions.list().data == []
    freeze(stripe_sim, NOON + 60)
    late = shop.client.v1.checkout.sessions.retrieve(made.id)
    assert late.subscription == shop.client.v1.subscriptions.list().data[0].id
    other = shop.act(shop.subscribe(), "pay", subscription_after_seconds=600)["session"]
    assert stripe_sim.control(f"/_sim/checkout/sessions/{other['id']}/provision", {})["session"][
        "subscription"
    ]


def test_a_trial_asks_for_nothing_today(shop):
    made = shop.subscribe(subscription_data={"trial_period_days": 14})

    session = shop.act(made, "pay")["session"]

    assert (made.amount_total, session["payment_status"]) == (0, "no_payment_required")
    assert shop.client.v1.subscriptions.retrieve(session["subscription"]).status == "trialing"


def test_a_price_made_for_a_session_or_retired_since_is_still_subscribed_to(shop):
    yearly = {**PRICED, "recurring": {"interval": "year"}}
    made = shop.session(mode="subscription", line_items=[{"price_data": yearly, "quantity": 1}])
    opened = shop.subscribe()
    shop.client.v1.prices.update(shop.monthly, params={"active": False})

    assert shop.act(made, "pay")["session"]["subscription"]
    assert shop.act(opened, "pay")["session"]["subscription"]


def test_prices_that_do_not_go_together_are_refused(shop):
    yearly = {**PRICED, "recurring": {"interval": "year"}}
    euro = {**PRICED, "currency": "eur", "recurring": {"interval": "month"}}
    monthly = {"price": shop.monthly, "quantity": 1}

    for other, message in (
        ({"price_data": yearly, "quantity": 1}, "billing interval"),
        ({"price_data": euro, "quantity": 1}, "same currency"),
        ({"price": shop.once, "quantity": 1}, "one-time prices"),
    ):
        with pytest.raises(stripe.InvalidRequestError, match=message):
            shop.session(mode="subscription", line_items=[monthly, other])


def test_a_session_of_a_known_customer_keeps_that_customer(shop):
    customer = shop.client.v1.customers.create(params={"email": "known@example.com"}).id

    made = shop.subscribe(customer=customer)
    session = shop.act(made, "pay", email="other@example.com")["session"]

    assert (made.customer, made.customer_details.email) == (customer, "known@example.com")
    assert session["customer"] == customer
    assert session["customer_details"]["email"] == "known@example.com"
    assert len(shop.client.v1.customers.list().data) == 1


@pytest.mark.parametrize("card", [DECLINED, FAILING])
def test_a_declined_card_leaves_a_subscription_session_open_and_nothing_made(card, shop):
    made = shop.subscribe()

    answer = shop.act(made, "fail", card=card)

    assert (answer["error"]["type"], answer["error"]["code"]) == ("card_error", "card_declined")
    assert answer["session"]["status"] == "open"
    assert shop.client.v1.subscriptions.list().data == []
    assert shop.client.v1.customers.list().data == []
    assert shop.act(made, "pay")["session"]["status"] == "complete"


def test_a_failed_payment_is_the_one_that_succeeds_in_the_end(shop):
    made = shop.sell()
    before = shop.last_event()

    failed = shop.act(made, "fail")["session"]
    paid = shop.act(made, "pay")["session"]

    assert failed["payment_intent"] == paid["payment_intent"]
    intents = [one["type"] for one in shop.events(after=before) if one["type"].startswith("payment_intent")]
    assert intents == ["payment_intent.created", "payment_intent.payment_failed", "payment_intent.succeeded"]
    assert shop.client.v1.payment_intents.retrieve(paid["payment_intent"]).amount_received == 1000


def test_a_guest_pays_without_becoming_a_customer_unless_asked(shop):
    guest = shop.act(shop.sell(), "pay")["session"]
    known = shop.act(shop.sell(customer_creation="always"), "pay")["session"]

    assert guest["customer"] is None
    assert known["customer"].startswith("cus_")
    assert (guest["payment_status"], guest["invoice"]) == ("paid", None)


def test_invoice_creation_makes_a_paid_invoice_with_its_metadata(shop):
    made = shop.sell(invoice_creation={"enabled": True, "invoice_data": {"metadata": {"op": "1"}}})

    session = shop.act(made, "pay")["session"]

    invoice = shop.client.v1.invoices.retrieve(session["invoice"], params={"expand": ["payments"]})
    assert (invoice.status, invoice.amount_paid, invoice.metadata.to_dict()) == ("paid", 1000, {"op": "1"})
    assert invoice.payments.data[0].payment.payment_intent == session["payment_intent"]
    assert invoice.customer == session["customer"]


@pytest.mark.parametrize(("outcome", "status"), [("paid", "paid"), ("failed", "unpaid")])
@pytest.mark.parametrize("kind", ["sell", "subscribe"])
def test_a_delayed_payment_completes_the_session_and_is_told_later(kind, outcome, status, shop):
    made = getattr(shop, kind)()

    session = shop.act(made, "pay", method="us_bank_account")["session"]
    before = shop.last_event()
    settled = shop.act(made, "settle", outcome=outcome)["session"]

    assert (session["status"], session["payment_status"]) == ("complete", "unpaid")
    assert (settled["status"], settled["payment_status"]) == ("complete", status)
    word = "succeeded" if outcome == "paid" else "failed"
    assert f"checkout.session.async_payment_{word}" in [one["type"] for one in shop.events(after=before)]
    with pytest.raises(ControlRefused, match="on its way"):
        shop.act(made, "settle")


def test_set_up_mode_saves_a_card_without_a_payment(shop):
    customer = shop.client.v1.customers.create(params={"email": "known@example.com"}).id
    made = shop.session(mode="setup", currency="usd", customer=customer)

    session = shop.act(made, "pay")["session"]

    assert (session["status"], session["payment_status"]) == ("complete", "no_payment_required")
    intent = shop.client.v1.setup_intents.retrieve(session["setup_intent"])
    assert (intent.status, intent.customer) == ("succeeded", customer)
    methods = shop.client.v1.customers.payment_methods.list(customer).data
    assert [one.id for one in methods] == [intent.payment_method]


def test_an_abandoned_session_stays_open(shop):
    made = shop.subscribe()

    answer = shop.act(made, "abandon")

    assert (answer["redirect"], answer["session"]["status"]) == (CANCEL_URL, "open")
    assert shop.act(made, "expire")["session"]["status"] == "expired"


def test_webhook_rules_reorder_what_a_payment_tells(shop, stripe_sim, receiver):
    stripe_sim.listen(receiver.url, "whsec_x", enabled_events=["checkout.session.completed", "invoice.paid"])
    stripe_sim.control("/_sim/webhooks", {"mode": "reorder", "window": 2})

    shop.act(shop.subscribe(), "pay")
    stripe_sim.wait_for_webhooks()

    assert receiver.types == ["invoice.paid", "checkout.session.completed"]
