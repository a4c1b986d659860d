"""A connected account over HTTP (2.5): paid, restricted, blocked, back by sync, gone; no database edit."""

import itertools
import json

import pytest

from tests.journeys.conftest import eventually, operation_path
from tests.support.http import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

BASE = "/ops/finance/money-rails/stripe-connect/accounts"
ACCOUNT = "acct_journey_connect"
ACCOUNT_REQUIRED = "STRIPE_CONNECT_ACCOUNT_REQUIRED"


def test_a_restricted_account_blocks_and_lets_pass_once_it_is_verified(running, caller):
    call, stripe = caller("tenant_connect"), Server(running.simulator_url)

    def control(path, body, *, method="POST"):
        answer = stripe.send(method, f"/_sim/{path}", content=json.dumps(body).encode(), headers={})
        assert answer.status == 200, answer.raw
        return answer.json

    def account():
        return call("GET", BASE).json["connect"]["accounts"][0]

    def becomes(**wanted):
        eventually(account, lambda row: all(row[name] == value for name, value in wanted.items()))

    def enqueue(period, *, code=""):
        path = f"/ops/payouts/p1/{period}/enqueue"
        wish = {"moneyRailProviderId": "stripe_sim"}
        if code:
            return call.refused("POST", path, wish, code=code)
        return call("POST", path, wish, expect=201).json["moneyRailOperation"]

    def transfers():
        headers = {"authorization": "Bearer sk_test_journey"}
        return stripe.send("GET", "/v1/transfers?limit=100", headers=headers).json["data"]

    def submit(operation):
        sent = call("POST", f"{operation_path(operation)}/submit", {}).json
        assert sent["applied"] is True
        assert sent["providerSubmission"]["destinationAccountId"] == ACCOUNT

    for period in ("2026-01", "2026-02"):
        call("PUT", f"/ops/party-statements/p1/{period}", {"partyRole": "operator", "payoutCents": 25_000})
        call("POST", "/ops/month-close", {"month": period}, expect=202)
        read = f"/ops/month-close?month={period}"
        eventually(lambda: call("GET", read).json["monthClose"]["status"], lambda s: s == "CLOSED")  # noqa: B023
    call("PUT", "/ops/finance/billing/plan", {"moneyRails": {"realMoneyEnabled": True}})

    # Nobody is mapped: nothing may be paid over Stripe once Connect is enabled.
    control(f"accounts/{ACCOUNT}", {"preset": "verified"})
    call("PUT", f"{BASE}/{ACCOUNT}", {"enableConnect": True})
    enqueue("2026-01", code=ACCOUNT_REQUIRED)
    call("PUT", f"{BASE}/{ACCOUNT}", {"partyId": "p1"})
    first = enqueue("2026-01")
    assert first["counterpartyRef"] == f"stripe_connect:{ACCOUNT}"

    # Stripe restricts the account; its news arrives by itself, twice and out of order.
    control("webhooks", {"rules": [{"mode": "duplicate", "type": "account.updated"}]})
    control(f"accounts/{ACCOUNT}/advance", {"toward": "past_due", "steps": 2})
    becomes(kybStatus="rejected", status="disabled", payoutsEnabled=False, transfersEnabled=False)
    assert account()["kybCurrentlyDue"] == ["business_profile.url", "individual.verification.document"]
    call.refused("POST", f"{operation_path(first)}/submit", {}, code=ACCOUNT_REQUIRED)
    enqueue("2026-02", code=ACCOUNT_REQUIRED)
    assert transfers() == []

    # It comes back, but every event is lost: a sync finds out.
    control("webhooks", {}, method="DELETE")
    control("webhooks", {"rules": [{"mode": "drop", "type": "account.*"}]})
    control(f"accounts/{ACCOUNT}/advance", {"toward": "verified", "steps": 2})
    assert account()["kybStatus"] == "rejected"

    def sync(key):
        return call("POST", f"{BASE}/sync", {"providerId": "stripe_sim"}, key=key).json

    # A look that the news of the restriction set off may still be under way; what it overtakes says so.
    keys = (f"s{number}" for number in itertools.count())
    key, told = eventually(
        lambda: (key := next(keys), sync(key)), lambda done: "stale" not in done[1]["results"][0]
    )
    assert told["summary"] == {"requestedCount": 1, "syncedCount": 1, "failedCount": 0}
    again = call("POST", f"{BASE}/sync", {"providerId": "stripe_sim"}, key=key)
    assert (again.json, again.headers["x-idempotent-replay"]) == (told, "true")
    assert (account()["kybStatus"], account()["status"]) == ("verified", "active")
    submit(first)
    call.await_state(first, "confirmed")
    assert [one["destination"] for one in transfers()] == [ACCOUNT]

    # What an operator disabled stays disabled, whatever Stripe says.
    second = enqueue("2026-02")
    call("PUT", f"{BASE}/{ACCOUNT}", {"status": "disabled"})
    call("POST", f"{BASE}/sync", {"providerId": "stripe_sim"})
    call.refused("POST", f"{operation_path(second)}/submit", {}, code=ACCOUNT_REQUIRED)
    call("PUT", f"{BASE}/{ACCOUNT}", {"status": "active"})

    # The account takes its permission back: gone for good, and the payout stays where it is.
    control("webhooks", {}, method="DELETE")
    control(f"accounts/{ACCOUNT}/deauthorize", {})
    becomes(kybStatus="rejected", status="disabled", kybDisabledReason="application_deauthorized")
    call.refused("POST", f"{operation_path(second)}/submit", {}, code=ACCOUNT_REQUIRED)
    call("DELETE", f"{BASE}/{ACCOUNT}")
    call.refused("POST", f"{operation_path(second)}/submit", {}, code=ACCOUNT_REQUIRED)
    assert (call.operation(second)["state"], len(transfers())) == ("initiated", 1)
    assert call("GET", "/ops/audit/verify").json["ok"] is True
