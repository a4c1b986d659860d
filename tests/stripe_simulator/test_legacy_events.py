"""An endpoint pinned to an older version gets the older shapes, whatever version the caller speaks."""

import pytest

from tests.stripe_simulator.conftest import SECRET
from tests.support.webhook_receiver import receiving

OLD = "2024-06-20"


@pytest.fixture
def told(stripe_sim, receiver):
    """What two endpoints hear of one subscription that begins, fails to renew, and recovers: new, old."""
    with receiving() as old:
        stripe_sim.listen(receiver.url, SECRET)
        stripe_sim.listen(old.url, SECRET, api_version=OLD)
        stripe_sim.control("/_sim/clock", {"now": "2026-01-31T00:00:00Z"})
        customer = stripe_sim.customer()["id"]
        made = stripe_sim.subscribe(customer, stripe_sim.price()["id"], metadata={"operation_key": "k"})
        stripe_sim.provoke(made["id"], "fail_payment")
        stripe_sim.provoke(made["id"], "recover")
        stripe_sim.wait_for_webhooks()
        yield receiver.events, old.events


def newest(events, event_type):
    return [event for event in events if event["type"] == event_type][-1]


def test_both_hear_the_same_events_each_in_its_version(told):
    new, old = told
    assert [event["id"] for event in new] == [event["id"] for event in old]
    assert {event["api_version"] for event in old} == {OLD}
    assert {event["api_version"] for event in new} == {"2026-10-28.endive"}


def test_a_subscription_has_its_period_itself(told):
    new, old = (newest(events, "customer.subscription.updated")["data"]["object"] for events in told)
    (item,) = new["items"]["data"]
    assert "current_period_end" not in new
    assert (old["current_period_start"], old["current_period_end"]) == (
        item["current_period_start"],
        item["current_period_end"],
    )
    assert "current_period_end" not in old["items"]["data"][0]


def test_a_renewal_tells_the_old_period_where_it_used_to_be(told):
    events = [event for event in told[1] if event["type"] == "customer.subscription.updated"]
    (previous,) = [
        event["data"]["previous_attributes"]
        for event in events
        if "items" in event["data"]["previous_attributes"]
    ]
    assert (previous["current_period_start"], previous["current_period_end"]) == (
        1_769_817_600,
        1_772_236_800,
    )


def test_an_invoice_names_its_subscription_and_payment_itself(told):
    new, old = (newest(events, "invoice.paid")["data"]["object"] for events in told)
    assert (old["paid"], old["subscription"]) == (True, new["parent"]["subscription_details"]["subscription"])
    assert old["subscription_details"] == {"metadata": {"operation_key": "k"}}
    assert (old["payment_intent"][:3], old["charge"][:3]) == ("pi_", "ch_")
    assert "parent" not in old
    (line,) = old["lines"]["data"]
    assert (line["type"], line["proration"], line["price"]["object"]) == ("subscription", False, "price")
    failed = newest(told[1], "invoice.payment_failed")["data"]["object"]
    assert (failed["paid"], failed["payment_intent"]) == (False, old["payment_intent"])


def test_charges_and_intents_name_the_invoice_they_pay(told):
    paid = newest(told[1], "invoice.paid")["data"]["object"]["id"]
    for event_type in ("charge.succeeded", "payment_intent.succeeded"):
        assert newest(told[1], event_type)["data"]["object"]["invoice"] == paid
        assert "invoice" not in newest(told[0], event_type)["data"]["object"]
