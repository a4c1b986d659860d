"""The same seed and calls give the same log; a restart finds everything again."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe

from tests.stripe_simulator.conftest import client_of
from tests.stripe_simulator.shop import open_shop
from tests.support.simulator import Simulator


@pytest.fixture
def simulator(tmp_path):
    simulator = Simulator(data=tmp_path, seed=5).start()
    yield simulator
    simulator.stop()


def story(simulator):
    """A bit of everything, with refusals, faults and a listener that nobody answers for."""
    client = client_of(simulator)
    simulator.listen("http://127.0.0.1:9/closed", "whsec_x")
    simulator.account("acct_a")
    rates = {"status_500_after": 0.3, "status_429": 0.2}
    simulator.control("/_sim/faults", {"seed": 3, "rates": rates})
    for number in range(20):
        params = {"amount": 10 + number, "currency": "usd", "destination": "acct_a"}
        try:
            made = client.v1.transfers.create(params=params)
            client.v1.transfers.reversals.create(made.id, params={"amount": 1})
        except stripe.StripeError:
            client.v1.transfers.list(params={"limit": 3})
    simulator.control("/_sim/faults", method="DELETE")
    simulator.control("/_sim/life/act", {})
    return simulator.control("/_sim/log")


def test_equal_seed_and_calls_give_an_equal_log(simulator):
    simulator.control("/_sim/reset", {"seed": 11})
    first = story(simulator)
    simulator.control("/_sim/reset", {"seed": 11})
    second = story(simulator)
    simulator.control("/_sim/reset", {"seed": 12})
    third = story(simulator)

    assert len(first["entries"]) > 80
    assert second == first
    assert third["digest"] != first["digest"]


def test_under_an_equal_clock_the_objects_are_equal_too(simulator):
    seen = []
    for _ in range(2):
        simulator.control("/_sim/reset", {"seed": 11})
        simulator.control("/_sim/clock", {"now": 1_900_000_000})
        story(simulator)
        seen.append((simulator.transfers(), simulator.get("/v1/balance_transactions", limit=100)))
    assert seen[0] == seen[1]


def test_another_process_with_the_same_seed_tells_the_same_log(simulator, tmp_path):
    other = Simulator(data=tmp_path / "other", seed=5).start()
    try:
        assert story(other) == story(simulator)
    finally:
        other.stop()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_keeps_everything(simulator, end):
    client = client_of(simulator)
    account = simulator.account("acct_a")
    simulator.control("/_sim/clock", {"now": 1_900_000_000})
    endpoint = simulator.listen("http://127.0.0.1:9/closed", "whsec_x")
    params: dict = {"amount": 10, "currency": "usd", "destination": "acct_a"}
    made = client.v1.transfers.create(params=params, options={"idempotency_key": "k1"})
    client.v1.transfers.reversals.create(made.id, params={"amount": 1})
    before = [simulator.transfers(), simulator.get("/v1/events"), simulator.get("/v1/balance")]
    log = simulator.control("/_sim/log?limit=3")

    getattr(simulator, end)()
    simulator.start(port=simulator.port)

    client = client_of(simulator)
    assert [simulator.transfers(), simulator.get("/v1/events"), simulator.get("/v1/balance")] == before
    assert simulator.get("/v1/accounts/acct_a") == account
    assert simulator.get("/v1/webhook_endpoints/" + endpoint["id"]) == endpoint
    assert simulator.control("/_sim/clock")["now"] == 1_900_000_000
    assert simulator.control("/_sim/log?limit=3") == log
    again = client.v1.transfers.create(params=params, options={"idempotency_key": "k1"})
    assert again.last_response.body == made.last_response.body
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    new = client.v1.transfers.create(params=params)
    assert new.id not in [one["id"] for one in before[0]]


def test_two_simulators_do_not_share_a_folder(simulator, tmp_path):
    with pytest.raises(AssertionError, match="did not start"):
        Simulator(data=tmp_path).start()


def test_it_stops_at_once_while_calls_hang(simulator):
    simulator.fault("timeout_before", delay_ms=30_000)
    simulator.fault("slow", delay_ms=30_000)
    with ThreadPoolExecutor() as pool:
        calls = [pool.submit(client_of(simulator).v1.accounts.create, params={}) for _ in range(2)]
        while simulator.control("/_sim/faults")["rules"][1]["times"]:
            time.sleep(0.01)
        began = time.monotonic()
        simulator.stop()
        assert time.monotonic() - began < 5
        for call in calls:
            with pytest.raises(stripe.APIConnectionError):
                call.result()


def sales_story(simulator):
    shop = open_shop(client_of(simulator), simulator)
    shop.act(shop.sell(), "fail")
    session = shop.act(shop.subscribe(), "pay", subscription_after_seconds=60)["session"]
    shop.act(shop.sell(customer_creation="always"), "pay", method="us_bank_account")
    simulator.control("/_sim/clock", {"advance_seconds": 90})
    shop.client.v1.billing_portal.sessions.create(params={"customer": session["customer"]})
    simulator.control("/_sim/clock", {"advance_seconds": 2 * 86_400})
    return simulator.control("/_sim/log")


def test_checkout_and_what_falls_due_log_the_same_too(simulator):
    logs = []
    for _ in range(2):
        simulator.control("/_sim/reset", {"seed": 11})
        simulator.control("/_sim/clock", {"now": 1_800_000_000})
        logs.append(sales_story(simulator))

    assert logs[0] == logs[1]
    told = [entry.get("type") for entry in logs[0]["entries"]]
    assert {"checkout.session.expired", "customer.subscription.created"} <= set(told)


def test_a_session_expires_although_the_simulator_was_down_when_its_time_came(simulator):
    shop = open_shop(client_of(simulator), simulator)
    made = shop.subscribe()
    simulator.kill()
    simulator.start(port=simulator.port)

    simulator.control("/_sim/clock", {"advance_seconds": 86_400})

    found = simulator.get(f"/v1/checkout/sessions/{made.id}")
    assert (found["status"], found["url"]) == ("expired", None)


def test_what_falls_due_survives_a_kill(simulator):
    begin = 1_900_000_000
    simulator.control("/_sim/clock", {"now": begin})
    made = simulator.subscribe(simulator.customer()["id"], simulator.price(interval="week")["id"])
    simulator.kill()
    simulator.start()
    simulator.control("/_sim/clock", {"advance_seconds": 7 * 86_400 + 3_600})
    invoices = simulator.get("/v1/invoices", subscription=made["id"])["data"]
    assert [(one["status"], one["created"]) for one in invoices] == [
        ("paid", begin + 7 * 86_400),
        ("paid", begin),
    ]
