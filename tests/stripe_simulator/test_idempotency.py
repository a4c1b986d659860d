"""Idempotency keys: the first answer replayed, other parameters refused, one call at a time."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe

HOUR = 3600


def test_a_repeated_call_gets_the_first_answer_to_the_byte(pay, stripe_sim):
    first = pay(key="k1")
    again = pay(key="k1")

    assert again.last_response.body == first.last_response.body
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert again.last_response.headers["Original-Request"] == first.last_response.headers["Request-Id"]
    assert again.last_response.headers["Request-Id"] != first.last_response.headers["Request-Id"]
    assert len(stripe_sim.transfers()) == 1


def test_the_replay_is_the_first_answer_even_after_the_object_changed(client, pay):
    first = pay(key="k1")
    client.v1.transfers.update(first.id, params={"description": "changed"})
    assert pay(key="k1").description is None


@pytest.mark.parametrize("other", [{"amount": 1001}, {"metadata": {"a": "b"}}])
def test_other_parameters_under_one_key_are_refused(pay, stripe_sim, other):
    pay(key="k1")

    with pytest.raises(stripe.IdempotencyError) as refused:
        pay(key="k1", **other)

    assert refused.value.http_status == 400
    assert refused.value.json_body["error"]["type"] == "idempotency_error"
    assert len(stripe_sim.transfers()) == 1


def test_another_path_under_one_key_is_refused(client, pay):
    made = pay(key="k1")
    with pytest.raises(stripe.IdempotencyError):
        client.v1.transfers.reversals.create(made.id, options={"idempotency_key": "k1"})


def test_a_clear_no_is_kept_too(pay, stripe_sim):
    stripe_sim.control("/_sim/balance", {"available": 0})
    with pytest.raises(stripe.InvalidRequestError):
        pay(key="k1")
    stripe_sim.control("/_sim/balance", {"available": 10_000})

    with pytest.raises(stripe.InvalidRequestError) as replayed:
        pay(key="k1")

    assert replayed.value.code == "balance_insufficient"
    assert replayed.value.headers["Idempotent-Replayed"] == "true"
    assert pay(key="k2").amount == 1000


def test_what_never_began_is_not_kept(pay, stripe_sim):
    with pytest.raises(stripe.InvalidRequestError):
        pay(key="k1", amount=0)
    stripe_sim.fault("status_429")
    with pytest.raises(stripe.RateLimitError):
        pay(key="k1")

    made = pay(key="k1")

    assert "Idempotent-Replayed" not in made.last_response.headers
    assert len(stripe_sim.transfers()) == 1


def test_a_kept_500_is_replayed_without_a_second_effect(pay, stripe_sim):
    stripe_sim.fault("status_500_after")

    for replayed in (None, "true", "true"):
        with pytest.raises(stripe.APIError) as failed:
            pay(key="k1")
        assert failed.value.http_status == 500
        assert failed.value.headers.get("Idempotent-Replayed") == replayed
        assert failed.value.headers["Stripe-Should-Retry"] == "false"
    assert len(stripe_sim.transfers()) == 1


def test_a_500_that_was_not_kept_can_be_retried(pay, stripe_sim):
    stripe_sim.fault("status_500_before", saved=False)
    with pytest.raises(stripe.APIError):
        pay(key="k1")
    assert pay(key="k1").amount == 1000
    assert len(stripe_sim.transfers()) == 1


def test_keys_are_forgotten_after_24_hours(pay, stripe_sim):
    first = pay(key="k1")

    stripe_sim.control("/_sim/clock", {"now": first.created + 24 * HOUR - 1})
    assert pay(key="k1").id == first.id
    stripe_sim.control("/_sim/clock", {"advance_seconds": 1})
    assert pay(key="k1").id != first.id
    assert len(stripe_sim.transfers()) == 2


def test_a_second_call_while_the_first_is_in_flight_is_409(pay, stripe_sim):
    stripe_sim.fault("slow", delay_ms=600)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(pay, key="k1")
        time.sleep(0.2)
        with pytest.raises(stripe.APIError) as refused:
            pay(key="k1")
        made = first.result()

    assert refused.value.http_status == 409
    assert refused.value.json_body["error"]["code"] == "idempotency_key_in_use"
    assert pay(key="k1").id == made.id
    assert len(stripe_sim.transfers()) == 1


def test_of_many_at_once_one_makes_the_transfer(pay, stripe_sim):
    start = threading.Barrier(8)

    def attempt(_: int) -> str:
        start.wait()
        try:
            return pay(key="k1").id
        except stripe.APIError as error:
            return str(error.http_status)

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(8)))

    (made,) = stripe_sim.transfers()
    assert set(outcomes) - {"409"} == {made["id"]}


def test_keys_on_reads_have_no_effect(client, pay):
    made = pay()
    options: stripe.RequestOptions = {"idempotency_key": "k1"}
    client.v1.transfers.retrieve(made.id, options=options)
    client.v1.transfers.update(made.id, params={"description": "new"})
    assert client.v1.transfers.retrieve(made.id, options=options).description == "new"
