"""Subscriptions: begun, changed, canceled, listed; driven by the official SDK."""

import pytest
import stripe

from tests.stripe_simulator.shapes import missing_fields

BEGIN = "2026-01-31T00:00:00Z"
JAN_31, FEB_28, MAR_31 = 1_769_817_600, 1_772_236_800, 1_774_915_200
BEGINNING = [
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


@pytest.fixture(autouse=True)
def at_the_end_of_january(stripe_sim):
    stripe_sim.control("/_sim/clock", {"now": BEGIN})


@pytest.fixture
def prices(stripe_sim):
    return {
        "pro": stripe_sim.price()["id"],
        "max": stripe_sim.price(unit_amount=5000, name="Max")["id"],
        "yearly": stripe_sim.price(unit_amount=20000, interval="year")["id"],
        "once": stripe_sim.price(interval=None)["id"],
    }


@pytest.fixture
def customer(stripe_sim):
    return stripe_sim.customer(email="a@example.com")["id"]


@pytest.fixture
def subscribe(client, customer, prices):
    def make(**params):
        base = {"customer": customer, "items": [{"price": prices["pro"]}], "metadata": {"operation_key": "k"}}
        return client.v1.subscriptions.create({**base, **params})

    return make


def last_event(stripe_sim):
    return stripe_sim.get("/v1/events", limit=1)["data"][0]


def ids(page):
    return [one.id for one in page.data]


def test_a_subscription_begins_active_with_its_first_invoice_paid(client, stripe_sim, subscribe):
    before = last_event(stripe_sim)["id"]

    found = subscribe()

    assert (found.status, missing_fields(found)) == ("active", [])
    (item,) = found["items"].data
    assert missing_fields(item) == []
    assert (item.current_period_start, item.current_period_end) == (JAN_31, FEB_28)
    assert found.metadata.to_dict() == {"operation_key": "k"}
    assert "current_period_end" not in found.to_dict()
    assert stripe_sim.event_types(after=before) == BEGINNING
    created = stripe_sim.get("/v1/events", type="customer.subscription.created")["data"][0]["data"]["object"]
    assert (created["status"], created["latest_invoice"]) == ("incomplete", found.latest_invoice)
    updated = last_event(stripe_sim)["data"]
    assert (updated["object"]["status"], updated["previous_attributes"]) == (
        "active",
        {"status": "incomplete"},
    )


def test_without_a_method_it_waits_for_its_first_payment(client, stripe_sim, prices):
    poor = stripe_sim.customer(card=None)["id"]
    found = client.v1.subscriptions.create({"customer": poor, "items": [{"price": prices["pro"]}]})
    assert found.status == "incomplete"
    invoice = client.v1.invoices.retrieve(found.latest_invoice)
    assert (invoice.status, invoice.amount_due, invoice.attempt_count) == ("open", 2000, 0)

    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": poor})
    paid = client.v1.invoices.pay(invoice.id, {"payment_method": method.id})

    assert (paid.status, paid.amount_paid) == ("paid", 2000)
    assert client.v1.subscriptions.retrieve(found.id).status == "active"


def test_a_card_that_fails_leaves_it_incomplete(client, stripe_sim, subscribe, customer):
    stripe_sim.control(f"/_sim/customers/{customer}/card", {"charges": "fails"})
    found = subscribe()
    assert found.status == "incomplete"
    assert stripe_sim.event_types()[-2:] == ["invoice.updated", "invoice.payment_failed"]
    with pytest.raises(stripe.CardError):
        subscribe(payment_behavior="error_if_incomplete")
    assert len(client.v1.subscriptions.list({"customer": customer}).data) == 1


def test_a_trial_begins_with_an_invoice_of_nothing(client, stripe_sim, subscribe):
    found = subscribe(trial_period_days=14)
    assert (found.status, found.trial_end) == ("trialing", JAN_31 + 14 * 86_400)
    assert found["items"].data[0].current_period_end == found.trial_end
    invoice = client.v1.invoices.retrieve(found.latest_invoice)
    assert (invoice.status, invoice.total, invoice.billing_reason) == ("paid", 0, "subscription_create")
    assert client.v1.payment_intents.list().data == []


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"items": [{"price": "price_none"}]}, "No such price"),
        ({"items": []}, "Missing required param: items"),
        ({"customer": "cus_none"}, "No such customer"),
        ({"default_payment_method": "pm_none"}, "No such PaymentMethod"),
        ({"surprise": "1"}, "unknown parameter"),
    ],
)
def test_nonsense_begins_nothing(stripe_sim, subscribe, params, complaint):
    with pytest.raises(stripe.InvalidRequestError, match=complaint):
        subscribe(**params)
    assert stripe_sim.control("/_sim/state")["objects"]["subscription"] == 0


def test_prices_must_be_active_recurring_and_alike(client, subscribe, prices):
    client.v1.prices.update(prices["max"], {"active": False})
    for items, complaint in (
        ([prices["once"]], "only accepts prices with"),
        ([prices["max"]], "inactive"),
        ([prices["pro"], prices["yearly"]], "same currency and billing interval"),
        ([prices["pro"], prices["pro"]], "multiple subscription items"),
    ):
        with pytest.raises(stripe.InvalidRequestError, match=complaint):
            subscribe(items=[{"price": price} for price in items])


def test_another_price_is_prorated_onto_the_next_invoice(client, stripe_sim, subscribe, prices):
    found = subscribe()
    half = (JAN_31 + FEB_28) // 2
    stripe_sim.control("/_sim/clock", {"now": half})
    item = found["items"].data[0].id

    changed = client.v1.subscriptions.update(found.id, {"items": [{"id": item, "price": prices["max"]}]})

    (after,) = changed["items"].data
    assert (after.id, after.price.id, after.plan.id) == (item, prices["max"], prices["max"])
    assert after.current_period_end == FEB_28
    event = last_event(stripe_sim)
    assert event["type"] == "customer.subscription.updated"
    assert event["data"]["previous_attributes"]["items"]["data"][0]["price"]["id"] == prices["pro"]
    stripe_sim.provoke(found.id, "renew")
    invoice = client.v1.invoices.list({"subscription": found.id, "limit": 1}).data[0]
    assert [line.amount for line in invoice.lines.data] == [-1000, 2500, 5000]
    assert [line.parent.subscription_item_details.proration for line in invoice.lines.data] == [
        True,
        True,
        False,
    ]
    assert (invoice.total, invoice.amount_paid, invoice.billing_reason) == (6500, 6500, "subscription_cycle")


def test_a_cheaper_price_billed_at_once_becomes_credit(client, stripe_sim, subscribe, prices, customer):
    found = subscribe(items=[{"price": prices["max"]}])
    item = found["items"].data[0].id
    client.v1.subscriptions.update(
        found.id,
        {"items": [{"id": item, "price": prices["pro"]}], "proration_behavior": "always_invoice"},
    )
    invoice = client.v1.invoices.retrieve(client.v1.subscriptions.retrieve(found.id).latest_invoice)
    assert (invoice.total, invoice.amount_due, invoice.status) == (-3000, 0, "paid")
    assert client.v1.customers.retrieve(customer).balance == -3000
    stripe_sim.provoke(found.id, "renew")
    renewal = client.v1.invoices.list({"subscription": found.id, "limit": 1}).data[0]
    assert (renewal.total, renewal.starting_balance, renewal.amount_due) == (2000, -3000, 0)
    assert client.v1.customers.retrieve(customer).balance == -1000


def test_another_interval_begins_a_period_now(client, stripe_sim, subscribe, prices):
    found = subscribe()
    half = (JAN_31 + FEB_28) // 2
    stripe_sim.control("/_sim/clock", {"now": half})
    item = found["items"].data[0].id
    changed = client.v1.subscriptions.update(found.id, {"items": [{"id": item, "price": prices["yearly"]}]})
    assert changed.billing_cycle_anchor == changed["items"].data[0].current_period_start == half
    assert changed["items"].data[0].current_period_end == half + 365 * 86_400
    invoice = client.v1.invoices.retrieve(changed.latest_invoice)
    assert ([line.amount for line in invoice.lines.data], invoice.status) == ([-1000, 20000], "paid")


def test_items_are_added_changed_and_taken_away_by_their_own_calls(client, subscribe, prices):
    found = subscribe()
    extra = client.v1.subscription_items.create(
        {"subscription": found.id, "price": prices["max"], "quantity": 2, "proration_behavior": "none"}
    )
    assert client.v1.subscription_items.update(extra.id, {"quantity": 3}).quantity == 3
    assert ids(client.v1.subscriptions.list({"price": prices["max"]})) == [found.id]
    assert ids(client.v1.subscription_items.list({"subscription": found.id}))[0] == extra.id
    assert client.v1.subscription_items.delete(extra.id).deleted is True
    assert client.v1.subscriptions.list({"price": prices["max"]}).data == []
    with pytest.raises(stripe.InvalidRequestError, match="at least one"):
        client.v1.subscription_items.delete(found["items"].data[0].id)


def test_a_planned_end_is_told_and_taken_back(client, stripe_sim, subscribe):
    found = subscribe()
    planned = client.v1.subscriptions.update(found.id, {"cancel_at_period_end": True})
    assert (planned.cancel_at_period_end, planned.cancel_at, planned.canceled_at) == (True, FEB_28, JAN_31)
    back = client.v1.subscriptions.update(found.id, {"cancel_at_period_end": False})
    assert (back.cancel_at_period_end, back.cancel_at, back.canceled_at) == (False, None, None)
    dated = client.v1.subscriptions.update(found.id, {"cancel_at": FEB_28 - 86_400})
    assert (dated.cancel_at_period_end, dated.cancel_at) == (False, FEB_28 - 86_400)
    assert last_event(stripe_sim)["data"]["previous_attributes"]["cancel_at"] is None


@pytest.mark.parametrize(("mode", "flag"), [("flexible", False), ("classic", True)])
def test_on_the_portal_flexible_billing_sets_only_the_date(stripe_sim, subscribe, mode, flag):
    stripe_sim.control("/_sim/settings", {"billing_mode": mode})
    found = stripe_sim.provoke(subscribe().id, "cancel", at_period_end=True)
    assert (found["cancel_at_period_end"], found["cancel_at"]) == (flag, FEB_28)


def test_canceled_at_once_it_is_deleted_and_then_not_found(client, stripe_sim, subscribe):
    found = subscribe()
    params = {
        "invoice_now": False,
        "prorate": False,
        "cancellation_details": {"comment": "duplicate", "feedback": "other"},
    }
    ended = client.v1.subscriptions.cancel(found.id, params)
    assert (ended.status, ended.ended_at, ended.canceled_at) == ("canceled", JAN_31, JAN_31)
    assert ended.cancellation_details.to_dict() == {
        "comment": "duplicate",
        "feedback": "other",
        "reason": "cancellation_requested",
    }
    assert last_event(stripe_sim)["type"] == "customer.subscription.deleted"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.subscriptions.cancel(found.id)
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError, match="can only update"):
        client.v1.subscriptions.update(found.id, {"cancel_at_period_end": True})
    assert client.v1.subscriptions.update(found.id, {"metadata": {"a": "b"}}).metadata.a == "b"


def test_an_end_with_proration_gives_the_rest_back(client, subscribe, customer):
    found = subscribe()
    client.v1.subscriptions.cancel(found.id, {"invoice_now": True, "prorate": True})
    assert client.v1.customers.retrieve(customer).balance == -2000


def test_they_are_listed_by_customer_price_and_status(client, stripe_sim, subscribe, prices, customer):
    running = subscribe()
    gone = subscribe(items=[{"price": prices["max"]}])
    client.v1.subscriptions.cancel(gone.id)
    trial = subscribe(trial_period_days=7)
    other = stripe_sim.subscribe(stripe_sim.customer()["id"], prices["pro"])["id"]

    def listed(**params):
        return ids(client.v1.subscriptions.list(params))

    assert listed(customer=customer) == [trial.id, running.id]
    assert listed(customer=customer, status="all") == [trial.id, gone.id, running.id]
    assert listed(status="canceled") == listed(status="ended") == [gone.id]
    assert listed(status="trialing") == [trial.id]
    assert listed(price=prices["pro"], status="active") == [other, running.id]
    assert listed(customer=customer, status="all", created={"gt": JAN_31}) == []
    page = client.v1.subscriptions.list({"customer": customer, "status": "all", "limit": 2})
    assert (ids(page), page.has_more) == ([trial.id, gone.id], True)


def test_the_door_makes_duplicates_with_metadata(client, stripe_sim, subscribe, prices, customer):
    first = subscribe()
    second = stripe_sim.subscribe(customer, prices["pro"], metadata={"operation_key": "k"})
    assert (second["status"], second["metadata"]) == ("active", {"operation_key": "k"})
    assert ids(client.v1.subscriptions.list({"customer": customer})) == [second["id"], first.id]


def test_a_key_replays_the_subscription_to_the_byte(client, stripe_sim, customer, prices):
    params = {"customer": customer, "items": [{"price": prices["pro"]}]}
    first = client.v1.subscriptions.create(params, {"idempotency_key": "k"})
    stripe_sim.provoke(first.id, "cancel")
    replay = client.v1.subscriptions.create(params, {"idempotency_key": "k"})
    assert (replay.id, replay.status) == (first.id, "active")
    assert replay._last_response.headers["Idempotent-Replayed"] == "true"
    assert client.v1.subscriptions.retrieve(first.id).status == "canceled"
