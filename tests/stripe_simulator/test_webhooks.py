"""Webhooks: signed as Stripe signs, retried until taken, and astray when told to."""

import time

import pytest
import stripe

from tests.stripe_simulator.conftest import SECRET


def amounts(receiver):
    return [event["data"]["object"]["amount"] for event in receiver.events]


def rule(stripe_sim, **fields):
    stripe_sim.control("/_sim/webhooks", {"rules": [fields]})


def test_the_sdk_accepts_the_signature(hooked, pay, stripe_sim):
    made = pay(key="k1")
    stripe_sim.wait_for_webhooks()

    payload, signature = hooked.letters[0]
    event = stripe.Webhook.construct_event(payload, signature, SECRET)

    assert (event.type, event.data.object["id"]) == ("transfer.created", made.id)
    assert event.request.idempotency_key == "k1"
    assert event.request.id == made.last_response.headers["Request-Id"]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(payload, signature, "whsec_other")
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(payload + b" ", signature, SECRET)


def test_an_endpoint_made_by_the_api_tells_its_secret_once(client, receiver, pay, stripe_sim):
    params = {"url": receiver.url, "enabled_events": ["transfer.created"], "metadata": {"a": "b"}}
    endpoint = client.v1.webhook_endpoints.create(params=params)
    made = pay()
    client.v1.transfers.update(made.id, params={"description": "not listened to"})
    stripe_sim.wait_for_webhooks()

    assert endpoint.secret.startswith("whsec_")
    assert "secret" not in client.v1.webhook_endpoints.retrieve(endpoint.id).to_dict()
    assert receiver.types == ["transfer.created"]
    assert stripe.Webhook.construct_event(*receiver.letters[0], endpoint.secret).livemode is False
    client.v1.webhook_endpoints.update(endpoint.id, params={"disabled": True})
    pay()
    assert client.v1.webhook_endpoints.delete(endpoint.id).deleted is True
    assert client.v1.webhook_endpoints.list().data == []
    stripe_sim.wait_for_webhooks()
    assert len(receiver.letters) == 1


def test_registering_a_url_again_updates_it(hooked, pay, stripe_sim):
    stripe_sim.listen(hooked.url, "whsec_new", enabled_events=["transfer.created"])
    pay()
    stripe_sim.wait_for_webhooks()

    assert len(hooked.letters) == 1
    stripe.Webhook.construct_event(*hooked.letters[0], "whsec_new")
    assert stripe_sim.control("/_sim/state")["objects"]["webhook_endpoint"] == 1


def test_a_delivery_is_tried_again_until_it_is_taken(hooked, pay, client, stripe_sim):
    stripe_sim.control("/_sim/settings", {"webhook_retry_initial_ms": 20})
    hooked.statuses = [500, 302, 404]
    pay()
    stripe_sim.wait_for_webhooks()

    assert [event["id"] for event in hooked.events] == [hooked.events[0]["id"]] * 4
    delivery = stripe_sim.control("/_sim/webhooks/deliveries")["deliveries"][0]
    assert (delivery["status"], delivery["attempts"], delivery["last_status"]) == ("delivered", 4, 200)


def test_attempts_can_be_limited_and_the_event_sent_again(hooked, pay, client, stripe_sim):
    stripe_sim.control("/_sim/settings", {"webhook_retry_initial_ms": 10, "webhook_max_attempts": 2})
    hooked.statuses = [500, 500]
    pay()
    stripe_sim.wait_for_webhooks()
    event = client.v1.events.list().data[0]
    assert len(hooked.letters) == 2
    assert [one.id for one in client.v1.events.list(params={"delivery_success": False}).data] == [event.id]

    assert stripe_sim.control("/_sim/webhooks/redeliver", {"event_id": event.id}) == {"queued": 1}
    stripe_sim.wait_for_webhooks()

    assert hooked.events[-1]["id"] == event.id
    assert len(hooked.letters) == 3


def test_duplicates(hooked, pay, stripe_sim):
    rule(stripe_sim, mode="duplicate", copies=2, times=1)
    pay(amount=1)
    pay(amount=2)
    stripe_sim.wait_for_webhooks()
    assert amounts(hooked) == [1, 1, 1, 2]
    assert len({event["id"] for event in hooked.events}) == 2


def test_delays(hooked, pay, stripe_sim):
    rule(stripe_sim, mode="delay", delay_ms=300, times=1)
    pay(amount=1)
    pay(amount=2)
    stripe_sim.wait_for_webhooks()
    assert amounts(hooked) == [2, 1]


def test_reordering(hooked, pay, stripe_sim):
    rule(stripe_sim, mode="reorder", window=3, delay_ms=20_000)
    for amount in (1, 2, 3):
        pay(amount=amount)
    stripe_sim.wait_for_webhooks()
    assert amounts(hooked) == [3, 2, 1]


def test_drops(hooked, pay, client, stripe_sim):
    rule(stripe_sim, mode="drop", type="transfer.created", times=1)
    pay(amount=1)
    pay(amount=2)
    stripe_sim.wait_for_webhooks()
    assert amounts(hooked) == [2]
    assert len(client.v1.events.list().data) == 2


def test_held_events_wait_for_a_flush(hooked, pay, client, stripe_sim):
    rule(stripe_sim, mode="hold")
    for amount in (1, 2, 3):
        pay(amount=amount)
    time.sleep(0.1)
    assert hooked.letters == []
    assert client.v1.events.list().data[0].pending_webhooks == 1

    assert stripe_sim.control("/_sim/webhooks/flush", {"order": "lifo"}) == {"released": 3}
    stripe_sim.wait_for_webhooks()

    assert amounts(hooked) == [3, 2, 1]
    assert client.v1.events.list().data[0].pending_webhooks == 0


def test_signatures_follow_a_clock_that_a_test_sets(hooked, pay, stripe_sim):
    stripe_sim.control("/_sim/clock", {"now": 1_000_000_000})
    pay()
    stripe_sim.control("/_sim/clock", {"now": 1_000_000_000, "signature_time": "real"})
    stripe_sim.wait_for_webhooks()
    pay()
    stripe_sim.wait_for_webhooks()

    assert hooked.letters[0][1].startswith("t=1000000000,v1=")
    stripe.Webhook.construct_event(*hooked.letters[1], SECRET)


def test_nothing_is_sent_beyond_loopback(pay, stripe_sim):
    stripe_sim.listen("http://192.0.2.1/hook", SECRET)
    pay()
    stripe_sim.wait_for_webhooks()
    delivery = stripe_sim.control("/_sim/webhooks/deliveries")["deliveries"][0]
    assert (delivery["status"], delivery["attempts"]) == ("failed", 0)
    assert "loopback" in delivery["last_error"]
