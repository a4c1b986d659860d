"""The whole story over HTTP, twice for one tenant, with no database edit (A2, A5, A6, A7, A10)."""

import json
import time

import pytest

from settld.core.hashing import artifact_hash, canonical_hash
from tests.journeys.conftest import eventually, operation_path
from tests.support.http import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TENANT = "tenant_journey"
ACCOUNT = "acct_journey_one"
PLAN = "/ops/finance/billing/plan"


class Provider:
    """What a look at the simulator shows."""

    def __init__(self, url):
        self.server = Server(url)

    def control(self, path, body):
        content = json.dumps(body).encode()
        answer = self.server.send("POST", f"/_sim/{path}", content=content, headers={})
        assert answer.status == 200, answer.raw
        return answer.json

    def transfers(self):
        headers = {"authorization": "Bearer sk_test_journey"}
        return self.server.send("GET", "/v1/transfers?limit=100", headers=headers).json["data"]


def test_two_cycles_of_one_tenant(running, caller):
    call, provider = caller(TENANT), Provider(running.simulator_url)
    made = call("POST", "/ops/tenants/bootstrap", {"name": "Journey"}, key="b1", expect=201).json
    token = made["bootstrap"]["apiKey"]["token"]
    call("GET", "/ops/api-keys", x_proxy_api_key=token)
    provider.control(f"accounts/{ACCOUNT}", {"preset": "verified"})

    _close_with_two_parties(call, "2026-01")
    _nothing_leaves_while_real_money_is_off(call, provider, "2026-01")
    first = _pay_over_stripe(call, provider, "2026-01")
    _pay_in_the_sandbox(call, "2026-01")
    _agrees(call, "2026-01")

    _close_with_two_parties(call, "2026-02")
    second = _pay_over_stripe(call, provider, "2026-02")
    _pay_in_the_sandbox(call, "2026-02")
    _agrees(call, "2026-02")
    _agrees(call, "2026-01")

    assert {one["id"] for one in provider.transfers()} == {first["providerRef"], second["providerRef"]}
    _is_taken_back(call, provider, second, "2026-02")
    assert call("GET", "/ops/audit/verify").json["ok"] is True


def _close_with_two_parties(call, period):
    for party, role, cents in (("p_stripe", "operator", 25_000), ("p_box", "subcontractor", 12_345)):
        statement = {"partyRole": role, "payoutCents": cents}
        call("PUT", f"/ops/party-statements/{party}/{period}", statement)
    call.refused("POST", f"/ops/payouts/p_box/{period}/enqueue", {}, code="MONTH_CLOSE_NOT_FOUND")
    asked = call("POST", "/ops/month-close", {"month": period}, key=f"close-{period}", expect=202)
    assert asked.json["event"]["type"] == "MONTH_CLOSE_REQUESTED"
    path = f"/ops/month-close?month={period}"
    eventually(lambda: call("GET", path).json["monthClose"]["status"], lambda status: status == "CLOSED")
    call.refused(
        "PUT",
        f"/ops/party-statements/p_box/{period}",
        {"partyRole": "subcontractor", "payoutCents": 1},
        code="PARTY_STATEMENT_CLOSED",
    )


def _nothing_leaves_while_real_money_is_off(call, provider, period):
    enqueue = f"/ops/payouts/p_stripe/{period}/enqueue"
    wish = {"moneyRailProviderId": "stripe_sim", "counterpartyRef": f"stripe_connect:{ACCOUNT}"}
    call.refused("POST", enqueue, wish, code="REAL_MONEY_DISABLED")
    for controls, code in (
        ({"payoutKillSwitch": True}, "PAYOUT_KILL_SWITCH_ACTIVE"),
        ({"allowedProviderIds": ["stub_default"]}, "MONEY_RAIL_PROVIDER_NOT_ALLOWED"),
        ({"maxPayoutAmountCents": 24_999}, "PAYOUT_AMOUNT_LIMIT_EXCEEDED"),
        ({"dailyPayoutLimitCents": 24_999}, "PAYOUT_DAILY_LIMIT_EXCEEDED"),
    ):
        call("PUT", PLAN, {"moneyRails": {"realMoneyEnabled": True} | controls})
        call.refused("POST", enqueue, wish, code=code)
    call("PUT", PLAN, {"moneyRails": {"realMoneyEnabled": True}})
    assert call("GET", "/ops/money-rails/stripe_sim/operations").json["total"] == 0
    assert provider.transfers() == []


def _pay_over_stripe(call, provider, period):
    before = len(provider.transfers())
    enqueue = f"/ops/payouts/p_stripe/{period}/enqueue"
    wish = {"moneyRailProviderId": "stripe_sim", "counterpartyRef": f"stripe_connect:{ACCOUNT}"}
    first = call("POST", enqueue, wish, key=f"e-{period}", expect=201)
    again = call("POST", enqueue, wish, key=f"e-{period}", expect=201)
    assert (again.raw, again.headers["x-idempotent-replay"]) == (first.raw, "true")
    operation = first.json["moneyRailOperation"]
    submit = f"{operation_path(operation)}/submit"

    call("PUT", PLAN, {"moneyRails": {"realMoneyEnabled": True, "payoutKillSwitch": True}})
    call.refused("POST", submit, {}, code="PAYOUT_KILL_SWITCH_ACTIVE")
    assert len(provider.transfers()) == before
    call("PUT", PLAN, {"moneyRails": {"realMoneyEnabled": True}})

    sent = call("POST", submit, {}, key=f"s-{period}").json
    assert (sent["applied"], sent["operation"]["state"]) == (True, "submitted")
    confirmed = call.await_state(operation, "confirmed")
    once_more = call("POST", submit, {}, key=f"s2-{period}").json
    assert (once_more["applied"], once_more["reason"]) == (False, "already_submitted")
    transfer = next(one for one in provider.transfers() if one["id"] == confirmed["providerRef"])
    assert len(provider.transfers()) == before + 1
    assert (
        transfer["amount"],
        transfer["currency"],
        transfer["destination"],
        transfer["transfer_group"],
    ) == (
        25_000,
        "usd",
        ACCOUNT,
        operation["idempotencyKey"],
    )
    assert transfer["metadata"]["settld_operation_id"] == operation["operationId"]
    return confirmed


def _pay_in_the_sandbox(call, period):
    operation = call("POST", f"/ops/payouts/p_box/{period}/enqueue", {}, expect=201).json[
        "moneyRailOperation"
    ]
    call("POST", f"{operation_path(operation)}/submit", {})
    news = {"operationId": operation["operationId"], "eventType": "confirmed", "eventId": "e1"}
    first = call("POST", "/ops/money-rails/stub_default/events/ingest", news).json
    again = call("POST", "/ops/money-rails/stub_default/events/ingest", news).json
    assert (first["applied"], again["applied"]) == (True, False)
    assert call.operation(operation)["state"] == "confirmed"


def _agrees(call, period):
    for provider in ("stripe_sim", "stub_default"):
        first = call.reconcile(period, provider)
        second = call.reconcile(period, provider, persist=True)
        assert first["status"] == "pass", first
        assert first["reportHash"] == second["reportHash"]
        names = ("schemaVersion", "tenantId", "period", "providerId", "status", "summary", "mismatches")
        core = {"schemaVersion": "MoneyRailReconcileReport.v1", **first}
        assert canonical_hash({name: core[name] for name in names}) == first["reportHash"]
        third = call.reconcile(period, provider, persist=True)
        assert third["artifact"] == second["artifact"]
        stored = call("GET", f"/artifacts/{second['artifact']['artifactId']}").json["artifact"]
        assert artifact_hash(stored) == stored["artifactHash"] == second["artifact"]["artifactHash"]


def _is_taken_back(call, provider, operation, period):
    """The provider takes a transfer back; a forged word of it changes nothing."""
    forged = {"id": "evt_forged", "object": "event", "type": "transfer.reversed", "data": {"object": {}}}
    headers = {"stripe-signature": f"t={int(time.time())},v1={'0' * 64}", "content-type": "application/json"}
    intake = "/api/billing/webhooks/stripe"
    answer = call.server.send("POST", intake, content=json.dumps(forged).encode(), headers=headers)
    assert answer.status == 400
    assert call.operation(operation)["state"] == "confirmed"

    provider.control(f"transfers/{operation['providerRef']}/reverse", {})
    call.await_state(operation, "reversed")

    report = call.reconcile(period, "stripe_sim", persist=True)
    assert report["status"] == "fail"
    assert [row["operationId"] for row in report["mismatches"]["terminalFailures"]] == [
        operation["operationId"]
    ]
    assert report["summary"]["criticalMismatchCount"] == 1
