"""What time does to subscriptions: everything that falls due happens in order, dated by its own time."""

import datetime as dt

import pytest

from tests.support.simulator import ControlRefused

DAY, HOUR = 86_400, 3600
BEGIN = 1_769_817_600  # 2026-01-31
FIRST_END = 1_772_236_800  # 2026-02-28


@pytest.fixture(autouse=True)
def at_the_end_of_january(stripe_sim):
    stripe_sim.control("/_sim/clock", {"now": BEGIN})


@pytest.fixture
def customer(stripe_sim):
    return stripe_sim.customer()["id"]


@pytest.fixture
def subscription(stripe_sim, customer):
    return stripe_sim.subscribe(customer, stripe_sim.price()["id"])["id"]


@pytest.fixture
def until(stripe_sim):
    """Move the clock, and tell what came of it as (when, what)."""

    def move(at):
        last = stripe_sim.get("/v1/events", limit=1)["data"][0]["id"]
        stripe_sim.control("/_sim/clock", {"now": at})
        events = stripe_sim.get("/v1/events", limit=100, ending_before=last)["data"]
        return [(event["created"], event["type"]) for event in reversed(events)]

    return move


def read(stripe_sim, subscription):
    return stripe_sim.get(f"/v1/subscriptions/{subscription}")


def invoices(stripe_sim, subscription):
    return stripe_sim.get("/v1/invoices", subscription=subscription, limit=100)["data"]


def test_a_period_rolls_over_and_its_invoice_rests_an_hour(stripe_sim, subscription, until):
    assert until(FIRST_END + HOUR - 1) == [
        (FIRST_END, "invoice.created"),
        (FIRST_END, "customer.subscription.updated"),
    ]
    found = read(stripe_sim, subscription)
    (item,) = found["items"]["data"]
    assert (item["current_period_start"], item["current_period_end"]) == (FIRST_END, FIRST_END + 31 * DAY)
    draft = invoices(stripe_sim, subscription)[0]
    assert (draft["id"], draft["status"], draft["billing_reason"], draft["created"]) == (
        found["latest_invoice"],
        "draft",
        "subscription_cycle",
        FIRST_END,
    )
    told = until(FIRST_END + DAY)
    assert (told[0], told[-1]) == (
        (FIRST_END + HOUR, "invoice.finalized"),
        (FIRST_END + HOUR, "invoice_payment.paid"),
    )
    paid = invoices(stripe_sim, subscription)[0]
    assert (paid["status"], paid["status_transitions"]["paid_at"]) == ("paid", FIRST_END + HOUR)


def test_a_year_at_once_is_twelve_periods_on_the_anchors_day(stripe_sim, subscription, until):
    until(BEGIN + 365 * DAY + 2 * HOUR)
    events = stripe_sim.get("/v1/events", type="invoice.created", limit=100)["data"]
    assert [invoice["status"] for invoice in invoices(stripe_sim, subscription)] == ["paid"] * 13
    days = [dt.datetime.fromtimestamp(event["created"], dt.UTC).day for event in reversed(events)]
    assert days == [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31]


def test_a_failing_card_is_tried_again_and_then_the_subscription_ends(
    stripe_sim, customer, subscription, until
):
    stripe_sim.control(f"/_sim/customers/{customer}/card", {"charges": "fails"})
    until(FIRST_END + HOUR)
    assert read(stripe_sim, subscription)["status"] == "past_due"
    invoice = invoices(stripe_sim, subscription)[0]
    assert (invoice["status"], invoice["attempt_count"]) == ("open", 1)
    assert invoice["next_payment_attempt"] == FIRST_END + HOUR + 3 * DAY

    told = until(FIRST_END + 20 * DAY)

    tries = [at for at, event_type in told if event_type == "invoice.payment_failed"]
    base = FIRST_END + HOUR
    assert tries == [base + 3 * DAY, base + 8 * DAY, base + 15 * DAY]
    assert told[-1] == (base + 15 * DAY, "customer.subscription.deleted")
    ended = read(stripe_sim, subscription)
    assert (ended["status"], ended["cancellation_details"]["reason"]) == ("canceled", "payment_failed")
    assert len(stripe_sim.get("/v1/payment_intents", customer=customer)["data"]) == 2


def test_a_card_that_works_again_makes_it_active(stripe_sim, customer, subscription, until):
    stripe_sim.control(f"/_sim/customers/{customer}/card", {"charges": "fails"})
    until(FIRST_END + HOUR)
    stripe_sim.control(f"/_sim/customers/{customer}/card", {"charges": "pays"})
    told = until(FIRST_END + 4 * DAY)
    assert told[-1] == (FIRST_END + HOUR + 3 * DAY, "customer.subscription.updated")
    assert read(stripe_sim, subscription)["status"] == "active"
    assert invoices(stripe_sim, subscription)[0]["status"] == "paid"


@pytest.mark.parametrize("last_resort", ["unpaid", "past_due"])
def test_the_end_of_the_retries_is_a_setting(stripe_sim, customer, subscription, until, last_resort):
    stripe_sim.control("/_sim/settings", {"after_failed_retries": last_resort})
    stripe_sim.control(f"/_sim/customers/{customer}/card", {"charges": "fails"})
    until(FIRST_END + 20 * DAY)
    assert read(stripe_sim, subscription)["status"] == last_resort
    assert stripe_sim.provoke(subscription, "recover")["status"] == "active"


def test_nobody_pays_for_23_hours_and_it_expires(stripe_sim, until):
    poor = stripe_sim.customer(card="4000000000000341")["id"]
    found = stripe_sim.subscribe(poor, stripe_sim.price()["id"])
    assert found["status"] == "incomplete"
    assert until(BEGIN + 23 * HOUR - 1) == []
    assert until(BEGIN + 23 * HOUR) == [
        (BEGIN + 23 * HOUR, "customer.subscription.updated"),
        (BEGIN + 23 * HOUR, "invoice.updated"),
        (BEGIN + 23 * HOUR, "invoice.voided"),
        (BEGIN + 23 * HOUR, "payment_intent.canceled"),
    ]
    assert read(stripe_sim, found["id"])["status"] == "incomplete_expired"
    assert until(BEGIN + 90 * DAY) == []


def test_a_planned_end_comes_at_the_periods_end(stripe_sim, subscription, until):
    stripe_sim.provoke(subscription, "cancel", at_period_end=True)
    assert until(FIRST_END) == [(FIRST_END, "customer.subscription.deleted")]
    ended = read(stripe_sim, subscription)
    assert (ended["status"], ended["canceled_at"], ended["ended_at"]) == ("canceled", BEGIN, FIRST_END)
    assert until(FIRST_END + 60 * DAY) == []


def test_a_trial_is_announced_and_becomes_a_paid_period(stripe_sim, customer, until):
    price = stripe_sim.price()["id"]
    found = stripe_sim.subscribe(customer, price, trial_days=10)
    end = BEGIN + 10 * DAY
    told = until(end + HOUR)
    assert told[:3] == [
        (end - 3 * DAY, "customer.subscription.trial_will_end"),
        (end, "invoice.created"),
        (end, "customer.subscription.updated"),
    ]
    after = read(stripe_sim, found["id"])
    assert (after["status"], after["items"]["data"][0]["current_period_end"]) == ("active", end + 28 * DAY)
    assert invoices(stripe_sim, found["id"])[0]["amount_paid"] == 2000


@pytest.mark.parametrize(
    ("behaviour", "status", "last"),
    [
        ("create_invoice", "past_due", "customer.subscription.updated"),
        ("cancel", "canceled", "customer.subscription.deleted"),
        ("pause", "paused", "customer.subscription.paused"),
    ],
)
def test_a_trial_without_a_method_ends_as_it_was_told(client, stripe_sim, until, behaviour, status, last):
    poor = stripe_sim.customer(card=None)["id"]
    found = client.v1.subscriptions.create(
        {
            "customer": poor,
            "items": [{"price": stripe_sim.price()["id"]}],
            "trial_period_days": 5,
            "trial_settings": {"end_behavior": {"missing_payment_method": behaviour}},
        }
    )
    told = until(BEGIN + 5 * DAY + HOUR)
    assert (read(stripe_sim, found.id)["status"], told[-1][1]) == (status, last)


def test_a_paused_one_resumes_into_a_period_of_now(client, stripe_sim, subscription, until):
    assert stripe_sim.provoke(subscription, "pause")["status"] == "paused"
    assert stripe_sim.event_types()[-2:] == ["customer.subscription.updated", "customer.subscription.paused"]
    assert until(FIRST_END + DAY) == []
    resumed = client.v1.subscriptions.resume(subscription)
    assert (resumed.status, resumed["items"].data[0].current_period_start) == ("active", FIRST_END + DAY)
    assert "customer.subscription.resumed" in stripe_sim.event_types()


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [("void", "void"), ("mark_uncollectible", "uncollectible"), ("keep_as_draft", "draft")],
)
def test_a_paused_collection_takes_no_money_until_it_resumes(
    client, stripe_sim, subscription, until, behaviour, status
):
    pause = {"behavior": behaviour, "resumes_at": FIRST_END + 2 * DAY}
    client.v1.subscriptions.update(subscription, {"pause_collection": pause})
    until(FIRST_END + DAY)
    assert invoices(stripe_sim, subscription)[0]["status"] == status
    assert read(stripe_sim, subscription)["status"] == "active"
    assert until(FIRST_END + 2 * DAY) == [(FIRST_END + 2 * DAY, "customer.subscription.updated")]
    assert read(stripe_sim, subscription)["pause_collection"] is None


def test_the_door_fails_and_recovers_a_payment_now(stripe_sim, subscription):
    failed = stripe_sim.provoke(subscription, "fail_payment")
    assert failed["status"] == "past_due"
    again = stripe_sim.provoke(subscription, "fail_payment")
    assert again["latest_invoice"] == failed["latest_invoice"]
    assert stripe_sim.get(f"/v1/invoices/{failed['latest_invoice']}")["attempt_count"] == 2
    assert stripe_sim.provoke(subscription, "recover")["status"] == "active"
    with pytest.raises(ControlRefused, match="no open invoice"):
        stripe_sim.provoke(subscription, "recover")


def test_a_leap_that_would_take_minutes_is_refused_and_moves_nothing(stripe_sim, customer):
    stripe_sim.control("/_sim/settings", {"most_due_at_once": 20})
    daily = stripe_sim.price(interval="day")["id"]
    stripe_sim.subscribe(customer, daily)
    with pytest.raises(ControlRefused, match="smaller steps"):
        stripe_sim.control("/_sim/clock", {"advance_seconds": 20 * DAY})
    assert stripe_sim.control("/_sim/clock")["now"] == BEGIN
    assert stripe_sim.control("/_sim/state")["objects"]["invoice"] == 1


def test_nothing_is_collected_after_the_end(client, stripe_sim, customer, subscription, until):
    stripe_sim.control(f"/_sim/customers/{customer}/card", {"charges": "fails"})
    until(FIRST_END + HOUR)
    open_one = invoices(stripe_sim, subscription)[0]["id"]
    client.v1.customers.delete(customer)
    assert until(FIRST_END + 60 * DAY) == []
    assert stripe_sim.get(f"/v1/invoices/{open_one}")["attempt_count"] == 1
