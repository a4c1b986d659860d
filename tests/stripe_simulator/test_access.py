"""Keys, headers, limits, unknown paths, and where the simulator listens."""

import base64
import subprocess
import sys
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime

import pytest
import stripe

from tests.stripe_simulator.conftest import client_of
from tests.support.simulator import API_KEY, PROJECT


def test_a_live_key_is_refused(stripe_sim):
    with pytest.raises(stripe.PermissionError, match="refuses live keys") as refused:
        client_of(stripe_sim, api_key="sk_live_abcdefgh").v1.balance.retrieve()
    assert refused.value.http_status == 403
    assert "abcdefgh" not in str(refused.value)


@pytest.mark.parametrize("key", ["pk_test_abcdefgh", "nonsense", "sk_test_"])
def test_a_key_of_another_kind_is_401(stripe_sim, key):
    with pytest.raises(stripe.AuthenticationError) as refused:
        client_of(stripe_sim, api_key=key).v1.balance.retrieve()
    assert refused.value.http_status == 401


def test_no_key_is_401(stripe_sim):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(stripe_sim.url + "/v1/balance")
    assert refused.value.code == 401


def test_answers_carry_request_id_version_and_the_virtual_date(client, stripe_sim):
    stripe_sim.control("/_sim/clock", {"now": "2030-01-02T03:04:05Z"})

    headers = client.v1.balance.retrieve().last_response.headers

    assert headers["Request-Id"].startswith("req_")
    assert headers["Stripe-Version"] == stripe.api_version
    assert parsedate_to_datetime(headers["Date"]).isoformat() == "2030-01-02T03:04:05+00:00"


def test_the_rate_limit_answers_429(client, stripe_sim):
    stripe_sim.control("/_sim/settings", {"rate_limit_per_second": 2})

    with pytest.raises(stripe.RateLimitError) as refused:
        for _ in range(4):
            client.v1.balance.retrieve()

    assert refused.value.http_status == 429
    assert refused.value.json_body["error"]["code"] == "rate_limit"


def test_an_unknown_path_is_404(client):
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        client.v1.topups.list()


def test_stripe_account_reads_the_balance_of_that_account(client, pay, payee):
    pay(amount=321)

    found = client.v1.balance.retrieve(options={"stripe_account": payee})

    assert found.available[0].amount == 321
    with pytest.raises(stripe.PermissionError):
        client.v1.balance.retrieve(options={"stripe_account": "acct_unknown"})
    with pytest.raises(stripe.InvalidRequestError, match="platform only"):
        client.v1.transfers.list(options={"stripe_account": payee})


def test_the_control_door_does_not_answer_to_foreign_names(stripe_sim):
    request = urllib.request.Request(stripe_sim.url + "/_sim/state", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 403


def test_it_does_not_listen_beyond_loopback(tmp_path):
    command = [sys.executable, "-m", "settld.stripe_simulator", "--host", "0.0.0.0", "--data", str(tmp_path)]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=20)
    assert ended.returncode == 2
    assert "stays on loopback" in ended.stderr


def test_basic_authentication_is_taken_too(stripe_sim):
    token = base64.b64encode(f"{API_KEY}:".encode()).decode()
    headers = {"Authorization": f"Basic {token}"}
    assert urllib.request.urlopen(urllib.request.Request(stripe_sim.url + "/v1/balance", headers=headers))
