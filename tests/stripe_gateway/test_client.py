"""What a call to Stripe ends in, told by what is known about the money (money-rails 3.3, 3.4)."""

import json
import socket
import time

import pytest
from django.db import transaction

from settld.stripe_gateway import calls, client
from settld.stripe_gateway.outcomes import (
    ProviderAnswerUnusable,
    ProviderInDoubt,
    ProviderNotExecuted,
    ProviderRejected,
)
from tests.stripe_gateway.conftest import KEY
from tests.stripe_gateway.scripted_stripe import Say, refusal, transfer

pytestmark = pytest.mark.django_db
PARAMS = {
    "amount": 12_345,
    "currency": "usd",
    "destination": "acct_1",
    "transfer_group": "group_1",
    "metadata": {"settld_operation_id": "mop_1"},
}


MISSING = [("id", None), ("amount", "12345"), ("amount", True), ("destination", None), ("currency", 1)]


def create():
    return client.create_transfer(params=PARAMS, idempotency_key="st_tr_1_a1")


def page(*rows, has_more=False):
    return Say(200, {"object": "list", "url": "/v1/transfers", "data": list(rows), "has_more": has_more})


def test_a_transfer_is_asked_for_in_stripes_own_form_and_read_back(provider):
    provider.will(Say(200, transfer()))

    made = create()

    assert (made.id, made.amount, made.currency, made.destination) == ("tr_1", 12_345, "usd", "acct_1")
    assert made.metadata == {"settld_operation_id": "mop_1"}
    assert (made.created, made.reversed, made.amount_reversed) == (1_790_000_000, False, 0)
    assert made.raw == transfer()
    (request,) = provider.heard
    assert (request.method, request.path) == ("POST", "/v1/transfers")
    assert request.form == {
        "amount": "12345",
        "currency": "usd",
        "destination": "acct_1",
        "transfer_group": "group_1",
        "metadata[settld_operation_id]": "mop_1",
    }
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["idempotency-key"] == "st_tr_1_a1"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"


def test_a_write_without_a_key_of_its_own_is_a_mistake(provider):
    with pytest.raises(ValueError, match="idempotency key"):
        client.create_transfer(params=PARAMS, idempotency_key=" ")
    assert provider.heard == []


def test_a_call_inside_a_transaction_is_refused_before_anything_is_sent(provider):
    provider.will(Say(200, transfer()))
    with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
        create()
    assert provider.heard == []


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422])
def test_a_clear_no_is_rejected_at_once(provider, status):
    provider.will(refusal(status, code="balance_insufficient", message="Insufficient funds."))

    with pytest.raises(ProviderRejected) as caught:
        create()

    assert len(provider.heard) == 1
    assert caught.value.error == {
        "message": "Insufficient funds.",
        "provider": "stripe",
        "category": "upstream_rejected",
        "retryable": False,
        "httpStatus": status,
        "providerCode": "balance_insufficient",
        "providerType": "invalid_request_error",
        "providerRequestId": "req_test",
        "endpoint": "/v1/transfers",
        "attempt": 1,
        "maxAttempts": 3,
        "circuitOpenUntil": None,
    }


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 504])
def test_no_clear_answer_is_in_doubt_after_three_sends_with_one_key(provider, pauses, status):
    provider.will(refusal(status))

    with pytest.raises(ProviderInDoubt) as caught:
        create()

    assert [request.headers["idempotency-key"] for request in provider.heard] == ["st_tr_1_a1"] * 3
    assert (caught.value.error["category"], caught.value.error["retryable"]) == ("upstream_unavailable", True)
    assert (caught.value.error["httpStatus"], caught.value.error["attempt"]) == (status, 3)
    assert 0.16 <= pauses[0] <= 0.24
    assert 0.32 <= pauses[1] <= 0.48


def test_a_rate_limit_to_the_end_was_not_executed(provider):
    provider.will(refusal(429, code="rate_limit"))

    with pytest.raises(ProviderNotExecuted) as caught:
        create()

    assert len(provider.heard) == 3
    assert (caught.value.error["category"], caught.value.error["httpStatus"]) == ("rate_limited", 429)


@pytest.mark.parametrize("manner", ["reset", "truncated", "silent", "dribbling"])
def test_an_answer_that_does_not_arrive_is_in_doubt(provider, stripe_config, manner):
    stripe_config(total_timeout_ms=300)
    provider.will(Say(200, transfer(), manner=manner))

    with pytest.raises(ProviderInDoubt) as caught:
        create()

    assert len(provider.heard) == 3
    assert caught.value.error["category"] == "network_error"
    assert caught.value.error["httpStatus"] is None


def test_a_byte_now_and_then_does_not_stretch_the_limit_of_time(provider, stripe_config):
    stripe_config(total_timeout_ms=300, retry_max_attempts=1)
    provider.will(Say(200, transfer(), manner="dribbling"))
    started = time.monotonic()

    with pytest.raises(ProviderInDoubt, match="TimeoutError"):
        create()

    assert time.monotonic() - started < 1.5


def test_a_refused_connection_counts_as_in_doubt(stripe_config, pauses):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        stripe_config(api_base_url=f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(ProviderInDoubt, match="ConnectionRefusedError"):
            create()
    assert len(pauses) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'"yes"',
        b"null",
        b"{}",
        {"object": "transfer"},
        {"object": "charge", "id": "ch_1"},
    ]
    + [transfer(**{name: value}) for name, value in MISSING],
)
def test_a_yes_that_cannot_be_used_is_in_doubt_and_not_repeated(provider, body):
    provider.will(Say(200, body))

    with pytest.raises(ProviderAnswerUnusable) as caught:
        create()

    assert isinstance(caught.value, ProviderInDoubt)
    assert len(provider.heard) == 1
    assert (caught.value.error["category"], caught.value.error["httpStatus"]) == ("invalid_response", 200)


@pytest.mark.parametrize("body", [b"", b"<html>gateway</html>", b"[]", {"error": "text"}, {"error": [1]}])
def test_an_error_in_a_foreign_form_is_told_by_its_status(provider, body):
    provider.will(Say(403, body))
    with pytest.raises(ProviderRejected, match="Stripe answered 403"):
        create()


def test_a_redirect_is_not_followed(provider):
    provider.will(Say(307, b"", {"Location": provider.url + "/elsewhere"}))
    with pytest.raises(ProviderInDoubt):
        create()
    assert [request.path for request in provider.heard] == ["/v1/transfers"]


def test_a_later_success_ends_the_doubt(provider):
    provider.will(refusal(500), Say(200, manner="reset"), Say(200, transfer()))
    assert create().id == "tr_1"
    assert len(provider.heard) == 3


@pytest.mark.parametrize("last", [refusal(400), refusal(429)])
def test_a_doubt_survives_what_a_later_send_was_told(provider, last):
    provider.will(refusal(500), last)

    with pytest.raises(ProviderInDoubt) as caught:
        create()

    assert caught.value.error["httpStatus"] == last.status
    assert caught.value.error["message"].endswith("an earlier send of this call got no clear answer")


def test_a_rate_limit_and_then_a_no_is_a_no(provider):
    provider.will(refusal(429), refusal(400))
    with pytest.raises(ProviderRejected):
        create()


def test_a_key_used_before_with_other_parameters_is_in_doubt(provider):
    provider.will(refusal(400, type="idempotency_error"))
    with pytest.raises(ProviderInDoubt):
        create()
    assert len(provider.heard) == 1


def test_stripe_may_stop_the_retries_but_not_start_them(provider):
    provider.will(Say(500, {"error": {}}, {"Stripe-Should-Retry": "false"}))
    with pytest.raises(ProviderInDoubt):
        create()
    provider.will(Say(402, {"error": {}}, {"Stripe-Should-Retry": "true"}))
    with pytest.raises(ProviderRejected):
        create()
    assert len(provider.heard) == 2


def test_no_secret_is_in_an_error(provider):
    provider.will(refusal(401, message=f"Invalid key {KEY}; also whsec_abc and Bearer hunter2"))
    with pytest.raises(ProviderRejected) as caught:
        create()
    told = json.dumps(caught.value.error) + str(caught.value)
    assert not any(secret in told for secret in (KEY, "whsec_abc", "hunter2"))


def test_the_delay_doubles_up_to_its_bound(stripe_config):
    config = stripe_config(retry_base_ms=200, retry_max_ms=2000)
    delays = [calls.delay_seconds(config=config, after_attempt=n, jitter=1) for n in range(1, 7)]
    assert delays == [0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_all_pages_of_a_group_are_read(provider):
    first, second = transfer(id="tr_2"), transfer(id="tr_1")
    provider.will(page(first, has_more=True), refusal(500), page(second))

    found = client.list_transfers("group_1")

    assert [row.id for row in found] == ["tr_2", "tr_1"]
    assert provider.heard[0].query == {"transfer_group": "group_1", "limit": "100"}
    assert provider.heard[2].query == {"transfer_group": "group_1", "limit": "100", "starting_after": "tr_2"}


@pytest.mark.parametrize(
    "answer", [page(has_more=True), page({"object": "transfer"}), Say(200, {"object": "list"})]
)
def test_a_list_that_cannot_be_read_whole_is_no_list(provider, answer):
    provider.will(answer)
    with pytest.raises(ProviderAnswerUnusable):
        client.list_transfers("group_1")


def test_a_list_without_an_end_is_given_up(provider, monkeypatch):
    monkeypatch.setattr(client, "MAX_PAGES", 3)
    provider.will(page(transfer(), has_more=True))
    with pytest.raises(ProviderAnswerUnusable, match="does not end"):
        client.list_transfers("group_1")
    assert len(provider.heard) == 3


def test_one_transfer_is_read_by_its_id(provider):
    provider.will(Say(200, transfer(reversed=True, amount_reversed=12_345, destination={"id": "acct_9"})))
    found = client.retrieve_transfer("tr_1")
    assert (found.reversed, found.amount_reversed, found.destination) == (True, 12_345, "acct_9")
    assert provider.heard[0].path == "/v1/transfers/tr_1"


def test_an_account_is_read_with_its_requirements(provider):
    account = {
        "id": "acct_1",
        "object": "account",
        "payouts_enabled": True,
        "details_submitted": True,
        "capabilities": {"transfers": "active"},
        "requirements": {
            "currently_due": ["b", "a", "a", 3],
            "pending_verification": None,
            "disabled_reason": None,
        },
    }
    provider.will(Say(200, account))

    found = client.retrieve_account("acct_1")

    assert (found.payouts_enabled, found.transfers_enabled, found.details_submitted) == (True, True, True)
    assert (found.currently_due, found.pending_verification, found.disabled_reason) == (("a", "b"), (), None)
    assert found.raw == account


def test_an_id_cannot_leave_its_place_in_the_path(provider):
    provider.will(refusal(404))
    with pytest.raises(ProviderRejected):
        client.retrieve_account("acct_1/../../v1/balance?x=1")
    assert provider.heard[0].path.startswith("/v1/accounts/acct_1%2F")
    assert provider.heard[0].query == {}
