"""Faults on purpose: what the caller sees, and what really happened."""

import socket
import time

import pytest
import stripe

from tests.stripe_simulator.conftest import client_of
from tests.support.simulator import ControlRefused

BODY = {"amount": 1000, "currency": "usd", "destination": "acct_payee"}


@pytest.fixture
def hasty(stripe_sim, payee):
    """Pays with a client that waits half a second."""
    client = client_of(stripe_sim, timeout=0.5)

    def make(key="k1"):
        return client.v1.transfers.create(params=BODY, options={"idempotency_key": key})

    return make


@pytest.mark.parametrize(
    ("kind", "happened"),
    [("timeout_before", 0), ("timeout_after", 1), ("reset_before", 0), ("reset_after", 1)],
)
def test_a_call_without_an_answer(kind, happened, hasty, pay, stripe_sim):
    stripe_sim.fault(kind)

    with pytest.raises(stripe.APIConnectionError):
        hasty()

    assert len(stripe_sim.transfers()) == happened
    made = pay(key="k1")
    assert made.last_response.headers.get("Idempotent-Replayed") == ("true" if happened else None)
    assert [one["id"] for one in stripe_sim.transfers()] == [made.id]


def test_a_reset_is_a_tcp_reset(payee, stripe_sim):
    stripe_sim.fault("reset_before")
    with socket.create_connection(("127.0.0.1", stripe_sim.port), timeout=5) as connection:
        connection.sendall(b"POST /v1/transfers HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


@pytest.mark.parametrize(("kind", "happened"), [("status_500_before", 0), ("status_500_after", 1)])
def test_a_500_says_nothing_about_the_effect(kind, happened, pay, stripe_sim):
    stripe_sim.fault(kind)

    with pytest.raises(stripe.APIError) as failed:
        pay(key="k1")

    assert failed.value.http_status == 500
    assert failed.value.json_body["error"]["type"] == "api_error"
    assert len(stripe_sim.transfers()) == happened


def test_a_429_has_no_effect(pay, stripe_sim):
    stripe_sim.fault("status_429")
    with pytest.raises(stripe.RateLimitError):
        pay(key="k1")
    assert stripe_sim.transfers() == []


def test_a_malformed_2xx_hides_an_effect_that_the_key_finds_again(pay, stripe_sim):
    stripe_sim.fault("malformed_2xx")

    with pytest.raises(stripe.APIError) as failed:
        pay(key="k1")

    assert failed.value.http_status == 200
    assert [one["id"] for one in stripe_sim.transfers()] == [pay(key="k1").id]


def test_a_slow_answer_comes_late_and_whole(pay, stripe_sim):
    stripe_sim.fault("slow", delay_ms=300)
    began = time.monotonic()
    made = pay()
    assert 0.3 <= time.monotonic() - began < 2
    assert made.amount == 1000


def test_a_hang_ends_after_its_delay(pay, stripe_sim):
    stripe_sim.fault("timeout_after", delay_ms=200)
    began = time.monotonic()
    with pytest.raises(stripe.APIConnectionError):
        pay()
    assert 0.2 <= time.monotonic() - began < 2


def test_rules_match_by_path_parameters_and_turn(client, pay, stripe_sim):
    stripe_sim.fault("status_429", path="/v1/transfers", match={"metadata[op]": "b"}, skip=1, times=1)

    pay(metadata={"op": "a"})
    pay(metadata={"op": "b"})
    with pytest.raises(stripe.RateLimitError):
        pay(metadata={"op": "b"})
    pay(metadata={"op": "b"})

    stripe_sim.fault("status_429", path=r"^/v1/transfers/tr_\w+$", method="GET", times=None)
    made = pay()
    for _ in range(2):
        with pytest.raises(stripe.RateLimitError):
            client.v1.transfers.retrieve(made.id)
    assert len(client.v1.transfers.list().data) == 4
    stripe_sim.control("/_sim/faults", method="DELETE")
    assert client.v1.transfers.retrieve(made.id).id == made.id


def fates(pay, stripe_sim, *, seed):
    stripe_sim.control("/_sim/reset", {"seed": 1})
    stripe_sim.account("acct_payee")
    rates = {"status_429": 0.3, "status_500_after": 0.3}
    stripe_sim.control("/_sim/faults", {"seed": seed, "rates": rates})
    seen = []
    for amount in range(1, 31):
        try:
            pay(amount=amount)
            seen.append(200)
        except stripe.StripeError as error:
            seen.append(error.http_status)
    return seen


def test_random_faults_depend_on_the_seed_only(pay, stripe_sim):
    first = fates(pay, stripe_sim, seed=7)

    assert fates(pay, stripe_sim, seed=7) == first
    assert fates(pay, stripe_sim, seed=8) != first
    assert {200, 429, 500} == set(first)
    assert len(stripe_sim.transfers()) == 30 - fates(pay, stripe_sim, seed=8).count(429)


@pytest.mark.parametrize("rule", [{"kind": "nonsense"}, {"kind": "slow", "tmies": 1}])
def test_a_rule_that_makes_no_sense_is_refused(rule, stripe_sim):
    with pytest.raises(ControlRefused, match="400"):
        stripe_sim.control("/_sim/faults", {"rules": [rule]})
    assert stripe_sim.control("/_sim/faults")["rules"] == []
