"""The general verb: its answer, every attempt, its limits of time (checkout-billing 5.0)."""

import dataclasses
import datetime as dt
import time
from email.utils import format_datetime

import pytest
from django.db import transaction

from settld.core import clock
from settld.stripe_gateway import circuit, client, skew
from settld.stripe_gateway.calls import Endpoint
from settld.stripe_gateway.outcomes import (
    ProviderAnswerUnusable,
    ProviderInDoubt,
    ProviderNotExecuted,
    ProviderRejected,
)
from settld.stripe_gateway.replies import Attempt
from tests.stripe_gateway.scripted_stripe import Say, refusal

pytestmark = pytest.mark.django_db
SESSION = {"id": "cs_1", "object": "checkout.session", "status": "open"}
ENDPOINT = Endpoint(path="/v1/checkout/sessions", label="POST /v1/checkout/sessions")
THEN = dt.datetime(2026, 11, 1, 12, 0, 7, tzinfo=dt.UTC)


@pytest.fixture
def patience(settings):
    """Change the limits of the two profiles."""

    def change(**limits):
        settings.BILLING = dataclasses.replace(settings.BILLING, **limits)

    return change


def ask(profile="request", **options):
    return client.ask(
        endpoint=ENDPOINT,
        send=lambda c: c.v1.checkout.sessions.create({}, options={"idempotency_key": "key_1"} | options),
        profile=profile,
    )


def dated(instant=THEN, **headers):
    return {"Date": format_datetime(instant, usegmt=True)} | headers


def test_a_reply_is_the_plain_object_with_stripes_own_time_and_the_attempts(provider):
    provider.will(Say(200, SESSION, dated()))

    reply = ask()

    assert (reply.body, reply.status, reply.provider_time) == (SESSION, 200, THEN)
    assert type(reply.body) is dict
    assert (reply.is_replayed, reply.request_id) == (False, "req_test")
    assert reply.attempts == (Attempt(200, "succeeded", "req_test", False),)
    (request,) = provider.heard
    assert request.headers["idempotency-key"] == "key_1"


def test_every_attempt_of_a_call_is_told_with_one_key(provider):
    provider.will(
        refusal(500),
        Say(200, SESSION, manner="reset"),
        Say(200, SESSION, dated(**{"Idempotent-Replayed": "true"})),
    )

    reply = ask()

    assert [(a.status, a.category, a.is_replayed) for a in reply.attempts] == [
        (500, "upstream_unavailable", False),
        (None, "network_error", False),
        (200, "succeeded", True),
    ]
    assert [a.is_indeterminate for a in reply.attempts] == [True, True, False]
    assert reply.is_replayed is True
    assert [request.headers["idempotency-key"] for request in provider.heard] == ["key_1"] * 3


def test_a_failure_tells_its_attempts_and_the_final_answers_time_and_replay(provider):
    answer = refusal(500)
    saved = dataclasses.replace(answer, headers=dated(**{"Idempotent-Replayed": "true", "Retry-After": "17"}))
    provider.will(Say(200, SESSION, manner="reset"), answer, saved)

    with pytest.raises(ProviderInDoubt) as caught:
        ask()

    failure = caught.value
    assert [a.status for a in failure.attempts] == [None, 500, 500]
    assert [a.is_replayed for a in failure.attempts] == [False, False, True]
    assert (failure.provider_time, failure.is_replayed, failure.retry_after_seconds) == (THEN, True, 17)


def test_t051_a_chain_of_time_out_and_401_keeps_both(provider, patience):
    patience(stripe_timeout_ms=200)
    provider.will(Say(200, SESSION, manner="silent"), refusal(401))

    with pytest.raises(ProviderInDoubt) as caught:
        ask()

    assert [a.status for a in caught.value.attempts] == [None, 401]
    assert caught.value.error["httpStatus"] == 401


@pytest.mark.parametrize(("profile", "sends"), [("request", 3), ("worker", 2)])
def test_a_worker_asks_once_more_a_request_twice_more(provider, profile, sends):
    provider.will(refusal(503))
    with pytest.raises(ProviderInDoubt) as caught:
        ask(profile)
    assert len(provider.heard) == len(caught.value.attempts) == sends
    assert caught.value.error["maxAttempts"] == sends


@pytest.mark.parametrize("profile", ["request", "worker"])
def test_each_profile_has_its_own_limit_of_time(provider, patience, profile):
    slow, quick = ("stripe_timeout_ms", "worker_timeout_ms")
    mine, other = (slow, quick) if profile == "request" else (quick, slow)
    patience(**{mine: 150, other: 30_000, "stripe_max_network_retries": 0, "worker_max_network_retries": 0})
    provider.will(Say(200, SESSION, manner="silent"))
    started = time.monotonic()
    with pytest.raises(ProviderInDoubt):
        ask(profile)
    assert time.monotonic() - started < 5


def test_the_rails_verbs_keep_their_own_patience(provider, patience):
    patience(stripe_max_network_retries=0, worker_max_network_retries=0)
    provider.will(refusal(503))
    with pytest.raises(ProviderInDoubt):
        client.retrieve_account("acct_1")
    assert len(provider.heard) == 3


def test_a_409_is_asked_again_and_a_clear_no_is_not(provider):
    provider.will(refusal(409, code="idempotency_key_in_use", type="idempotency_error"))
    with pytest.raises(ProviderInDoubt):
        ask()
    assert len(provider.heard) == 3
    provider.heard.clear()
    provider.will(refusal(402))
    with pytest.raises(ProviderRejected) as caught:
        ask()
    assert len(provider.heard) == len(caught.value.attempts) == 1


@pytest.mark.parametrize("body", [b"[]", b"null", b'"yes"', b"<html>", b""])
def test_a_yes_that_is_no_object_is_unusable(provider, body):
    provider.will(Say(200, body))
    with pytest.raises(ProviderAnswerUnusable) as caught:
        ask()
    assert [a.is_indeterminate for a in caught.value.attempts] == [True]


def test_a_client_secret_never_comes_out_of_the_gateway(provider):
    nested = {
        "payment_intent": {"id": "pi_1", "client_secret": "pi_1_secret_abc"},
        "rows": [{"client_secret": "x"}],
    }
    provider.will(Say(200, SESSION | nested | {"client_secret": None}))
    reply = ask()
    assert reply.body["payment_intent"] == {"id": "pi_1", "client_secret": "[REDACTED]"}
    assert reply.body["rows"] == [{"client_secret": "[REDACTED]"}]
    assert reply.body["client_secret"] is None


def test_what_send_raises_before_anything_left_is_raised_as_it_is(provider):
    provider.will(Say(200, SESSION))
    with pytest.raises(ZeroDivisionError):
        client.ask(endpoint=ENDPOINT, send=lambda c: 1 / 0, profile="request")
    assert provider.heard == []
    assert circuit.for_address(provider.url).open_until(now=clock.now()) is None


def test_a_mistake_after_a_lost_answer_does_not_hide_the_doubt(provider):
    provider.will(Say(200, SESSION, manner="reset"))
    tries = []

    def send(c):
        tries.append(1)
        if len(tries) > 1:
            raise ZeroDivisionError
        return c.v1.checkout.sessions.create({}, options={"idempotency_key": "k"})

    with pytest.raises(ProviderInDoubt) as caught:
        client.ask(endpoint=ENDPOINT, send=send, profile="request")
    assert [a.is_indeterminate for a in caught.value.attempts] == [True, True]


def test_an_open_circuit_sends_nothing_and_has_no_attempt(provider):
    provider.will(refusal(500))
    for _ in range(3):
        with pytest.raises(ProviderInDoubt):
            ask("worker")
    provider.heard.clear()
    with pytest.raises(ProviderNotExecuted) as caught:
        ask()
    assert (provider.heard, caught.value.attempts, caught.value.is_circuit_open) == ([], (), True)


def test_t069_a_call_inside_a_transaction_is_refused_before_anything_is_sent(provider):
    provider.will(Say(200, SESSION))
    with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
        ask()
    assert provider.heard == []


@pytest.mark.parametrize(("ahead", "measured"), [(0, 0), (5, 5), (-7, -7)])
def test_t033_the_skew_of_our_clock_is_measured_on_every_answer(provider, ahead, measured):
    provider.will(Say(200, SESSION, dated()))
    with clock.freeze(THEN + dt.timedelta(seconds=ahead)):
        ask()
    assert skew.local_ahead_seconds() == measured


def test_a_refusal_measures_the_skew_too_and_slow_answers_do_not_hide_it(provider):
    provider.will(dataclasses.replace(refusal(404), headers=dated()))
    with clock.freeze(THEN + dt.timedelta(seconds=9)), pytest.raises(ProviderRejected):
        ask()
    slow = THEN + dt.timedelta(seconds=20)
    provider.will(Say(200, SESSION, dated(slow)))
    with clock.freeze(THEN + dt.timedelta(seconds=9)):
        ask()
    assert skew.local_ahead_seconds() == 9


def test_without_an_answer_no_skew_is_known_and_old_ones_are_pushed_out(provider):
    assert skew.local_ahead_seconds() == 0
    skew.assume(4)
    assert skew.local_ahead_seconds() == 4
    for _ in range(skew.SAMPLES):
        skew.measure(sent_at=THEN, provider_time=THEN)
    assert skew.local_ahead_seconds() == 0


@pytest.mark.parametrize(
    "told", ["", "yesterday", "Mon, 99 Nov 2026 12:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -0100"]
)
def test_a_date_that_cannot_be_read_is_no_time(provider, told, monkeypatch):
    from settld.stripe_gateway import replies

    assert replies.date_of({"Date": told}) is None
    assert replies.date_of({}) is None


@pytest.mark.parametrize(
    ("told", "seconds"), [("3", 3), ("", None), ("soon", None), ("-1", None), ("9" * 9, None)]
)
def test_a_wait_is_read_when_it_is_a_number(told, seconds):
    from settld.stripe_gateway import replies

    assert replies.retry_after_seconds({"Retry-After": told}) == seconds


def test_the_client_is_built_once_for_each_profile(provider):
    from settld.stripe_gateway import profiles

    asked, worked = (client._connect(profiles.shaped(name)) for name in ("request", "worker"))
    assert client._connect(profiles.shaped("request")) is asked
    assert asked[0] is not worked[0]
    assert (asked[1].total_seconds, worked[1].total_seconds) == (30, 15)
