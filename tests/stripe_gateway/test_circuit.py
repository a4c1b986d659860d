"""The circuit: three failed calls in a row open it for 30 s, then one probe (money-rails 3.3)."""

import datetime as dt

import pytest
import redis

from settld.core import clock
from settld.stripe_gateway import circuit as circuits
from settld.stripe_gateway import client
from settld.stripe_gateway.outcomes import ProviderInDoubt, ProviderNotExecuted, ProviderRejected
from tests.stripe_gateway.scripted_stripe import Say, refusal, transfer

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def create():
    return client.create_transfer(params={"amount": 1}, idempotency_key="key")


@pytest.fixture
def open_circuit(provider, stripe_config):
    """Three calls in a row that ended without an answer, one send each."""
    stripe_config(retry_max_attempts=1)
    provider.will(refusal(503))
    with clock.freeze(NOW):
        for _ in range(3):
            with pytest.raises(ProviderInDoubt):
                create()
    provider.heard.clear()
    return provider


def test_while_open_nothing_is_sent_and_the_refusal_says_until_when(open_circuit):
    with clock.freeze(NOW + 29 * SECOND), pytest.raises(ProviderNotExecuted) as caught:
        create()

    assert open_circuit.heard == []
    assert caught.value.is_circuit_open
    assert (caught.value.error["category"], caught.value.error["attempt"]) == ("circuit_open", 0)
    assert caught.value.error["circuitOpenUntil"] == "2026-11-01T12:00:30.000Z"


def test_a_probe_that_succeeds_closes_it(open_circuit):
    open_circuit.will(Say(200, transfer()))
    with clock.freeze(NOW + 30 * SECOND):
        assert create().id == "tr_1"
        assert create().id == "tr_1"


def test_a_probe_that_is_refused_clearly_closes_it(open_circuit):
    open_circuit.will(refusal(400))
    with clock.freeze(NOW + 30 * SECOND):
        for _ in range(2):
            with pytest.raises(ProviderRejected):
                create()
    assert len(open_circuit.heard) == 2


def test_a_probe_that_fails_opens_it_again_at_once(open_circuit):
    with clock.freeze(NOW + 30 * SECOND):
        with pytest.raises(ProviderInDoubt):
            create()
        with pytest.raises(ProviderNotExecuted) as caught:
            create()
    assert len(open_circuit.heard) == 1
    assert caught.value.error["circuitOpenUntil"] == "2026-11-01T12:01:00.000Z"


def test_there_is_one_probe_at_a_time(open_circuit):
    circuit = circuits.for_address(open_circuit.url)
    later = NOW + 31 * SECOND
    permit = circuit.enter(now=later)
    assert permit.is_probe
    with pytest.raises(circuits.CircuitOpen):
        circuit.enter(now=later)
    circuit.abandon(permit)
    assert circuit.enter(now=later).is_probe


def test_a_success_between_failures_starts_the_row_again(provider, stripe_config):
    stripe_config(retry_max_attempts=1)
    provider.will(refusal(500), refusal(500), Say(200, transfer()), refusal(500), refusal(500), refusal(400))
    for expected in (
        ProviderInDoubt,
        ProviderInDoubt,
        None,
        ProviderInDoubt,
        ProviderInDoubt,
        ProviderRejected,
    ):
        if expected is None:
            create()
        else:
            with pytest.raises(expected):
                create()
    assert len(provider.heard) == 6


def test_a_call_that_needed_its_retries_is_no_failure(provider):
    for _ in range(4):
        provider.will(refusal(500), refusal(500), Say(200, transfer()))
        create()


def test_every_process_sees_one_state(open_circuit):
    circuits._memory.cache_clear()  # as another process would begin
    with clock.freeze(NOW), pytest.raises(ProviderNotExecuted):
        create()


def test_another_address_has_its_own_circuit(open_circuit, stripe_config):
    stripe_config(api_base_url=open_circuit.url + "/other")
    with clock.freeze(NOW), pytest.raises(ProviderInDoubt):
        create()


def test_without_redis_a_process_keeps_its_own_state(provider, stripe_config, monkeypatch):
    class Gone:
        def __getattr__(self, name):
            def fail(*_args, **_options):
                raise redis.ConnectionError("gone")

            return fail

    memory = circuits.SharedMemory(circuits.RedisMemory(Gone()))
    monkeypatch.setattr(circuits, "_memory", lambda _url: memory)
    stripe_config(retry_max_attempts=1)
    provider.will(refusal(503))
    with clock.freeze(NOW):
        for _ in range(3):
            with pytest.raises(ProviderInDoubt):
                create()
        with pytest.raises(ProviderNotExecuted):
            create()
    provider.will(Say(200, transfer()))
    with clock.freeze(NOW + 30 * SECOND):
        assert create().id == "tr_1"
        assert create().id == "tr_1"
    assert len(provider.heard) == 5


def test_a_circuit_that_opens_meanwhile_stops_the_retries(provider, monkeypatch):
    circuit = circuits.for_address(provider.url)
    provider.will(refusal(503))
    from settld.stripe_gateway import calls

    monkeypatch.setattr(
        calls,
        "pause",
        lambda _seconds: circuit.memory.open(provider.url, int(NOW.timestamp() * 1000) + 30_000),
    )
    with clock.freeze(NOW), pytest.raises(ProviderInDoubt):
        create()
    assert len(provider.heard) == 2
