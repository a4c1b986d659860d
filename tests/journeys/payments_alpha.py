"""Payments Alpha, statement by statement, over HTTP and commands against a live deployment (spec 8, A1-A12).

The statements themselves are in the names. Where a failure must be induced that no route can bring about,
it is written into the database behind the product's back, and only there (A3).
"""

import contextlib
import http.client
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from settld.core import signatures
from settld.core.hashing import artifact_hash, canonical_hash
from settld.launcher import commands
from settld.launcher.ports import free_port
from tests.journeys import alpha_world
from tests.journeys.alpha_world import PLAN, REAL, Stripe, Tenant, let_time_pass, signature, spoil, spoil_copy
from tests.journeys.conftest import operation_path
from tests.support import deployment, pristine
from tests.support.http import Server
from tests.support.servers import admin_connection, process_database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
JAN, FEB = "2026-01", "2026-02"
DOCS = Path(__file__).resolve().parents[2] / "docs"
INTAKE = "/api/billing/webhooks/stripe"
RUN = "/ops/maintenance/money-rails-reconcile/run"
RECONCILE_LOCK = "settld:maintenance:money_rail_reconcile:v1"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def live(_pristine, django_db_blocker):
    """One deployment for all statements; each takes tenants of its own."""
    from django.db import connections

    with (
        django_db_blocker.unblock(),
        deployment.running(
            "simulator", "web", "worker", web_workers=1, settings=alpha_world.SETTINGS
        ) as started,
    ):
        Stripe(Server(started.simulator_url)).control(
            f"accounts/{alpha_world.ACCOUNT}", {"preset": "verified"}
        )
        yield started
        connections.close_all()
    pristine.restore(_pristine)


@pytest.fixture
def stripe(live):
    return Stripe(Server(live.simulator_url))


@pytest.fixture
def tenant(live):
    """Make tenants; whatever happened to them, each of their movements has its reference (A1)."""
    made = []

    def make(**rules):
        name = f"tenant_alpha_{next(_numbers)}_{os.getpid()}"
        made.append(Tenant(Server(live.base_url), live.ops_token, name))
        made[-1].rules(**rules)
        return made[-1]

    yield make
    for each in made:
        for period in each.periods():
            for provider in alpha_world.PROVIDERS:
                report = each.reconcile(period, provider["providerId"])
                assert report["mismatches"]["unreferencedMovements"] == []
        assert each("GET", "/ops/audit/verify").json["ok"] is True


# --- A1 -------------------------------------------------------------------------------------------------
def test_a1_every_movement_has_a_reference_that_reaches_a_statement(tenant):
    call = tenant(**REAL)
    call.close(JAN, p_one=10_000, p_two=20_000, p_three=30_000)
    call.tell(call.pay("p_one", JAN), "reversed")
    failed = call.enqueue("p_two", JAN)
    call.tell(failed, "submitted", "failed")
    call.pay("p_three", JAN, "stripe_sim")

    query = """SELECT m.kind, m.reference_type, s.party_id FROM movement m JOIN party_statement s
      ON s.tenant_id = m.tenant_id AND m.reference_id = s.tenant_id || ':party:' || s.party_id
        || ':period:' || s.period || ':statement:' || s.statement_hash
      WHERE m.tenant_id = %s ORDER BY s.party_id, m.kind"""
    with admin_connection(process_database()) as connection:
        assert connection.execute(query, [call.tenant_id]).fetchall() == [
            ("reversal", "party_statement", "p_one"),
            ("transfer", "party_statement", "p_one"),
            ("transfer", "party_statement", "p_three"),
            ("return", "party_statement", "p_two"),
            ("transfer", "party_statement", "p_two"),
        ]
        without = "INSERT INTO movement (id, tenant_id) VALUES (gen_random_uuid(), 't')"
        with pytest.raises(psycopg.errors.NotNullViolation):
            connection.execute(without)
        columns = """SELECT column_name FROM information_schema.columns WHERE table_name = 'movement'
          AND column_name LIKE 'reference%' AND is_nullable = 'NO' ORDER BY 1"""
        assert connection.execute(columns).fetchall() == [("reference_id",), ("reference_type",)]


# --- A2 -------------------------------------------------------------------------------------------------
def test_a2_two_parties_over_two_periods_reconcile_with_no_mismatch_and_an_equal_hash(tenant):
    call = tenant(**REAL)
    for period in (JAN, FEB):
        call.close(period, p_card=25_000, p_box=12_345)
        call.pay("p_card", period, "stripe_sim")
        call.pay("p_box", period)
    for period, provider in itertools.product((JAN, FEB), ("stripe_sim", "stub_default")):
        first, second = call.reconcile(period, provider), call.reconcile(period, provider, persist=True)
        assert (first["status"], first["summary"]["criticalMismatchCount"]) == ("pass", 0)
        assert first["summary"]["settledCount"] == 1
        assert first["reportHash"] == second["reportHash"]
        names = ("tenantId", "period", "providerId", "status", "summary", "mismatches")
        core = {"schemaVersion": "MoneyRailReconcileReport.v1"} | {name: first[name] for name in names}
        assert canonical_hash(core) == first["reportHash"]
        stored = call("GET", f"/artifacts/{second['artifact']['artifactId']}").json["artifact"]
        assert artifact_hash(stored) == second["artifact"]["artifactHash"]


# --- A3 -------------------------------------------------------------------------------------------------
@pytest.fixture
def month(tenant):
    """A sound month of one party, and an operation of another that is about to go wrong."""
    call = tenant(**REAL)
    call.close(JAN, p_sound=10_000, p_wrong=20_000)
    call.pay("p_sound", JAN)
    return call


def test_a3_an_instruction_that_nobody_enqueued_is_a_missing_operation(month):
    [(group, [operation_id])] = month.groups(JAN).items()
    assert (group, ":party:p_wrong:" in operation_id) == ("missingOperations", True)


def test_a3_another_amount_is_an_amount_mismatch(month):
    operation = month.pay("p_wrong", JAN)
    spoil(
        "UPDATE money_rail_operation SET amount_cents = amount_cents + 1 WHERE operation_id = %s",
        operation["operationId"],
    )
    assert month.groups(JAN) == {"amountMismatches": [operation["operationId"]]}


def test_a3_another_currency_is_a_currency_mismatch(month):
    operation = month.pay("p_wrong", JAN)
    spoil(
        "UPDATE money_rail_operation SET currency = 'EUR' WHERE operation_id = %s", operation["operationId"]
    )
    assert month.groups(JAN) == {"currencyMismatches": [operation["operationId"]]}


@pytest.mark.parametrize(
    "way", [("failed",), ("submitted", "failed"), ("submitted", "confirmed", "reversed")]
)
def test_a3_a_failed_or_reversed_payout_is_a_terminal_failure(month, way):
    operation = month.enqueue("p_wrong", JAN)
    month.tell(operation, *way)
    assert month.groups(JAN) == {"terminalFailures": [operation["operationId"]]}


def test_a3_an_operation_that_no_instruction_asked_for_is_unexpected(month):
    operation = month.pay("p_wrong", JAN)
    foreign = operation["operationId"].replace("p_wrong", "p_stranger")
    spoil_copy(
        "money_rail_operation", "operation_id", operation["operationId"], operation_id=foreign,
        payout_key=foreign.removeprefix("mop_"), party_id="p_stranger",
    )  # fmt: skip
    assert month.groups(JAN) == {"unexpectedOperations": [foreign]}


def test_a3_a_second_instruction_is_a_duplicate(month):
    operation = month.pay("p_wrong", JAN)
    artifact = operation["metadata"]["payoutArtifactId"]
    spoil_copy("artifact", "artifact_id", artifact, artifact_id=f"{artifact}_again")
    assert month.groups(JAN) == {"duplicateExpected": [operation["operationId"]]}


def test_a3_a_crash_after_the_dispatch_is_indeterminate_until_a_tick_finds_the_transfer(live, month, stripe):
    operation = month.enqueue("p_wrong", JAN, "stripe_sim")
    with _doomed(live, "submit.after_call") as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {
            "x-proxy-ops-token": live.ops_token, "x-proxy-tenant-id": month.tenant_id,
            "content-type": "application/json", "x-idempotency-key": "s1",
        }  # fmt: skip
        connection.request("POST", f"{operation_path(operation)}/submit", b"{}", headers)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            connection.getresponse()
        connection.close()
    if month.operation(operation)["state"] == "initiated":  # else Stripe's event was here before us
        let_time_pass(operation, minutes=20)
        assert month.groups(JAN, "stripe_sim") == {"indeterminateOperations": [operation["operationId"]]}
        assert live.manage("moneyrails_tick", "--once").returncode == 0
        assert month.operation(operation)["state"] == "submitted"
    stripe.control("webhooks/flush", {})
    month.await_state(operation, "confirmed")
    assert month.groups(JAN, "stripe_sim") == {}
    assert len(stripe.transfers(month.tenant_id)) == 1
    assert month.submit(operation, key="s1").json["operation"]["providerRef"]


@contextlib.contextmanager
def _doomed(live, point):
    """A second web server whose worker dies at a point; Stripe's events do not reach anybody meanwhile."""
    port = free_port()
    live.lines["doomed"] = commands.web(host="127.0.0.1", port=port, workers=1)
    live.start("doomed", SETTLD_FAILPOINTS=f"{point}=kill")
    simulator = Server(live.simulator_url)
    simulator.send("POST", "/_sim/webhooks", content=b'{"mode": "hold"}', headers={})
    try:
        live._await(f"http://127.0.0.1:{port}/healthz", "doomed")
        yield port
    finally:
        live.kill("doomed")
        simulator.send("DELETE", "/_sim/webhooks", content=b"{}", headers={})


# --- A4 -------------------------------------------------------------------------------------------------
def test_a4_the_chargeback_drill_exits_0_and_its_artifact_verifies_with_the_public_key(
    live, tenant, tmp_path
):
    call = tenant(chargebacks={"enabled": True, "negativeBalanceMode": "hold"})
    for period in (JAN, FEB):
        call.close(period, p_drill=12_500)
    operation = call.enqueue("p_drill", JAN)
    key = Ed25519PrivateKey.generate()
    private, public, out = (tmp_path / name for name in ("key.pem", "pub.pem", "drill.json"))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_text(signatures.public_pem(key.public_key()))

    drill = live.manage(
        "ops_money_rails_chargeback_evidence", f"--base-url={live.base_url}", f"--tenant-id={call.tenant_id}",
        f"--ops-token={live.ops_token}", f"--operation-id={operation['operationId']}", f"--period={JAN}",
        f"--payout-period={FEB}", "--expect-outstanding-cents=12500",
        "--expect-payout-code=NEGATIVE_BALANCE_PAYOUT_HOLD", f"--signing-key-file={private}", f"--out={out}",
    )  # fmt: skip

    assert drill.returncode == 0, drill.stdout + drill.stderr
    assert json.loads(out.read_text())["status"] == "pass"
    assert _verifies(out, public)
    spoilt = tmp_path / "spoilt.json"
    spoilt.write_text(out.read_text().replace("12500", "12501"))
    assert not _verifies(spoilt, public)


def _verifies(file, public):
    """Check as a third party does: a process that knows nothing of the deployment."""
    command = [sys.executable, "-m", "settld.evidence_verifier", "--file", file, "--public-key-file", public]
    done = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode in (0, 2), done.stdout + done.stderr
    return done.returncode == 0


def test_a4_the_runbook_names_the_stored_artifact_and_it_verifies():
    runbook = (DOCS / "runbooks" / "chargeback-drill.md").read_text()
    stored, public = (
        DOCS / "evidence" / "chargeback-drill.json",
        DOCS / "evidence" / "chargeback-drill.pub.pem",
    )
    for path in (stored, public):
        assert f"evidence/{path.name}" in runbook
    assert _verifies(stored, public)


# --- A5 -------------------------------------------------------------------------------------------------
def test_a5_two_full_cycles_with_a_chargeback_and_its_recovery_without_a_database_edit(tenant, stripe):
    call = tenant(**REAL, chargebacks={"enabled": True, "negativeBalanceMode": "net"})
    call.close(JAN, p_card=10_000, p_box=12_345)
    first = call.pay("p_card", JAN, "stripe_sim")
    call.pay("p_box", JAN)
    assert call.groups(JAN, "stripe_sim") == call.groups(JAN) == {}

    stripe.control(f"transfers/{first['providerRef']}/reverse", {})
    call.await_state(first, "reversed")
    assert call.debt("p_card")["outstandingCents"] == 10_000
    [recorded] = call.audits("MONEY_RAIL_CHARGEBACK_RECORDED")
    assert recorded["details"]["outstandingAfterCents"] == 10_000

    call.close(FEB, p_card=25_000, p_box=20_000)
    asked = call.ask("p_card", FEB, "stripe_sim", expect=201).json
    assert asked["chargeback"]["recoveryAppliedCents"] == 10_000
    second = asked["moneyRailOperation"]
    assert second["amountCents"] == 15_000
    call.submit(second)
    second = call.await_state(second, "confirmed")
    call.pay("p_box", FEB)

    debt = call.debt("p_card")
    assert (debt["outstandingCents"], debt["totalReversedAmountCents"], debt["totalRecoveredCents"]) == (
        0, 10_000, 10_000,
    )  # fmt: skip
    assert call.groups(FEB, "stripe_sim") == call.groups(FEB) == {}
    assert call.groups(JAN, "stripe_sim") == {"terminalFailures": [first["operationId"]]}
    amounts = sorted((row["amount"], row["amount_reversed"]) for row in stripe.transfers(call.tenant_id))
    assert amounts == [(10_000, 10_000), (15_000, 0)]


# --- A6 -------------------------------------------------------------------------------------------------
REJECTIONS = [
    ({}, "REAL_MONEY_DISABLED"),
    (REAL | {"payoutKillSwitch": True}, "PAYOUT_KILL_SWITCH_ACTIVE"),
    (REAL | {"allowedProviderIds": ["stub_default"]}, "MONEY_RAIL_PROVIDER_NOT_ALLOWED"),
    (REAL | {"maxPayoutAmountCents": 9_999}, "PAYOUT_AMOUNT_LIMIT_EXCEEDED"),
    (REAL | {"dailyPayoutLimitCents": 9_999}, "PAYOUT_DAILY_LIMIT_EXCEEDED"),
]


def test_a6_real_money_is_off_by_default_and_each_of_the_five_rejections_is_reachable(tenant, stripe):
    call = tenant()
    assert call("GET", PLAN).json["billing"]["moneyRails"]["realMoneyEnabled"] is False
    call.close(JAN, p_one=10_000)
    for rules, code in REJECTIONS:
        call.rules(**rules)
        call.refuses("p_one", JAN, "stripe_sim", code)
    assert call("GET", "/ops/money-rails/stripe_sim/operations").json["total"] == 0
    assert stripe.transfers(call.tenant_id) == []


def test_a6_nothing_reaches_stripe_while_real_money_is_off_also_for_what_was_enqueued_before(tenant, stripe):
    call = tenant(**REAL)
    call.close(JAN, p_one=10_000)
    operation = call.enqueue("p_one", JAN, "stripe_sim")
    call.rules()
    refused = call.submit(operation, expect=409)
    assert refused.json["code"] == "REAL_MONEY_DISABLED"
    assert call.operation(operation)["state"] == "initiated"
    assert stripe.transfers(call.tenant_id) == []


# --- A7 -------------------------------------------------------------------------------------------------
def test_a7_a_wrong_missing_stale_or_foreign_signature_of_a_rail_never_changes_state(tenant):
    call = tenant()
    call.close(JAN, p_one=10_000)
    operation = call.enqueue("p_one", JAN, "stub_signed")
    news = {"operationId": operation["operationId"], "eventType": "submitted", "eventId": "e1"}
    raw = json.dumps(news).encode()
    path = "/ops/money-rails/stub_signed/events/ingest"
    bad = [
        {},
        {"x_proxy_provider_signature": f"t={int(time.time())},v1={'0' * 64}"},
        {"x_proxy_provider_signature": signature(raw, at=time.time() - 400)},
        {"x_proxy_provider_signature": signature(raw, secret="whsec_of_somebody_else")},
        {"x_proxy_provider_signature": signature(raw + b" ")},
    ]
    for headers in bad:
        refused = call("POST", path, news, expect=400, **headers)
        assert refused.json["error"] == "invalid provider signature"
        assert call.operation(operation)["state"] == "initiated"
    call("POST", path, news, x_proxy_provider_signature=signature(raw))
    assert call.operation(operation)["state"] == "submitted"


def test_a7_a_wrong_missing_stale_or_foreign_signature_of_stripe_never_changes_state(live, tenant):
    call = tenant(**REAL)
    call.close(JAN, p_one=10_000)
    operation = call.pay("p_one", JAN, "stripe_sim")
    forged = {
        "id": "evt_forged", "object": "event", "type": "transfer.reversed", "created": int(time.time()),
        "livemode": False, "data": {"object": {"id": operation["providerRef"], "object": "transfer"}},
    }  # fmt: skip
    raw = json.dumps(forged).encode()
    ours = live.environment["PROXY_BILLING_STRIPE_WEBHOOK_SECRET"].split(",")[0]
    bad = [
        "",
        f"t={int(time.time())},v1={'0' * 64}",
        signature(raw, at=time.time() - 400, secret=ours),
        signature(raw, secret="whsec_of_somebody_else"),
    ]
    for header in bad:
        headers = {"content-type": "application/json"} | ({"stripe-signature": header} if header else {})
        assert call.server.send("POST", INTAKE, content=raw, headers=headers).status == 400
    assert call.operation(operation)["state"] == "confirmed"
    with admin_connection(process_database()) as connection:
        kept = "SELECT count(*) FROM billing_webhook_events WHERE provider_event_id = 'evt_forged'"
        assert connection.execute(kept).fetchone() == (0,)


# --- A8 -------------------------------------------------------------------------------------------------
def test_a8_the_scheduler_covers_tenants_and_providers_and_persists_their_reports(live, tenant):
    tenants = [tenant(**REAL), tenant(**REAL)]
    for call in tenants:
        call.close(JAN, p_card=10_000, p_box=20_000)
        call.pay("p_card", JAN, "stripe_sim")
        call.pay("p_box", JAN)

    ticked = live.manage("moneyrails_tick", "--once", "--force")
    assert ticked.returncode == 0, ticked.stdout + ticked.stderr
    assert json.loads(ticked.stdout)["reconciliation"]["ok"] is True

    for call in tenants:
        seen = call("GET", "/ops/status").json["maintenance"]["moneyRailReconciliation"]
        assert seen["outcome"] == "ok"
        results = seen["lastResult"]["results"]
        assert {row["tenantId"] for row in results} == {call.tenant_id}
        reconciled = {row["providerId"]: row for row in results if row["period"] == JAN}
        assert set(reconciled) == {provider["providerId"] for provider in alpha_world.PROVIDERS}
        for row in reconciled.values():
            stored = call("GET", f"/artifacts/{row['artifactId']}").json["artifact"]
            assert stored["reportHash"] == row["reportHash"]


def test_a8_a_second_run_at_the_same_time_gets_409(tenant):
    call = tenant()
    with admin_connection(process_database()) as connection:  # another process that is at work
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [RECONCILE_LOCK])
        refused = call("POST", RUN, {}, expect=409)
        assert refused.json["code"] == "MAINTENANCE_ALREADY_RUNNING"
    assert call("POST", RUN, {}).json["ok"] is True
    outcomes = [row["details"]["outcome"] for row in call.audits("MAINTENANCE_MONEY_RAIL_RECONCILE_RUN")]
    assert outcomes == ["ok", "already_running"]


# --- A9 -------------------------------------------------------------------------------------------------
def _decide(call, row, **change):
    named = ("triageKey", "sourceType", "period", "providerId", "mismatchType", "mismatchKey")
    body = {name: row[name] for name in named} | change
    return call("POST", "/ops/finance/reconciliation/triage", body, key=f"t-{change['status']}").json


def test_a9_the_triage_view_lists_mismatches_with_reason_codes_and_an_override_leaves_a_trail(tenant):
    call = tenant()
    call.close(JAN, p_missing=10_000, p_failed=20_000)
    call.tell(call.enqueue("p_failed", JAN), "submitted", "failed")
    before = call.reconcile(JAN, "stub_default", persist=True)
    codes = {row["mismatchCode"]: row for row in before["triageQueue"]}
    assert set(codes) == {"MONEY_RAIL_MISSING_OPERATION", "MONEY_RAIL_TERMINAL_FAILURE"}
    assert {row["severity"] for row in codes.values()} == {"critical"}

    decided = _decide(
        call, codes["MONEY_RAIL_MISSING_OPERATION"], status="resolved", notes="paid by cheque in March"
    )
    assert (decided["changed"], decided["triage"]["status"]) == (True, "resolved")

    after = call.reconcile(JAN, "stub_default", persist=True)
    assert {name: after[name] for name in ("status", "reportHash", "mismatches", "summary", "artifact")} == {
        name: before[name] for name in ("status", "reportHash", "mismatches", "summary", "artifact")
    }
    [shown] = [row["triage"] for row in after["triageQueue"] if row["triage"]]
    assert (shown["status"], shown["notes"]) == ("resolved", "paid by cheque in March")
    assert after["triageSummary"]["resolved"] == 1
    [trail] = call.audits("FINANCE_RECONCILIATION_TRIAGE_UPSERT")
    assert trail["actorPrincipalId"].startswith("ops_token:")


# --- A10 ------------------------------------------------------------------------------------------------
def test_a10_the_amount_cap_lets_its_own_amount_pass_and_nothing_above(tenant):
    call = tenant(maxPayoutAmountCents=10_000)
    call.close(JAN, p_equal=10_000, p_above=10_001)
    call.enqueue("p_equal", JAN)
    details = call.refuses("p_above", JAN, "stub_default", "PAYOUT_AMOUNT_LIMIT_EXCEEDED")
    assert (details["payoutAmountCents"], details["maxPayoutAmountCents"]) == (10_001, 10_000)


def test_a10_the_daily_cap_holds_over_all_providers_of_a_mode(tenant):
    call = tenant(dailyPayoutLimitCents=25_000)
    call.close(JAN, p_one=10_000, p_two=15_000, p_three=1)
    call.enqueue("p_one", JAN)
    call.enqueue("p_two", JAN, "stub_signed")
    details = call.refuses("p_three", JAN, "stub_default", "PAYOUT_DAILY_LIMIT_EXCEEDED")
    assert (details["currentExposureCents"], details["projectedExposureCents"]) == (25_000, 25_001)


def test_a10_the_kill_switch_stops_enqueue_and_submit(tenant, stripe):
    call = tenant(**REAL)
    call.close(JAN, p_one=10_000, p_two=20_000)
    operation = call.enqueue("p_one", JAN, "stripe_sim")
    call("POST", "/ops/money-rails/kill-switch", {"reason": "something smells"})
    for provider in ("stripe_sim", "stub_default"):
        call.refuses("p_two", JAN, provider, "PAYOUT_KILL_SWITCH_ACTIVE")
    assert call.submit(operation, expect=409).json["code"] == "PAYOUT_KILL_SWITCH_ACTIVE"
    assert stripe.transfers(call.tenant_id) == []

    call("POST", "/ops/money-rails/kill-switch/lift", {"reason": "it was lunch"})
    assert call.submit(operation).json["applied"] is True


def test_a10_a_mismatch_alert_is_given_once_a_day_when_the_threshold_is_reached(tenant):
    call = tenant(dailyMismatchAlertThreshold=2)
    call.close(JAN, p_one=10_000)
    call("POST", RUN, {})
    assert call.audits("MONEY_RAIL_MISMATCH_ALERT") == []
    call.close(FEB, p_two=10_000)
    call("POST", RUN, {})
    call("POST", RUN, {})
    [alert] = call.audits("MONEY_RAIL_MISMATCH_ALERT")
    assert (alert["details"]["count"], alert["details"]["threshold"]) == (2, 2)
    assert len(alert["details"]["triageKeys"]) == 2


def test_a10_an_override_silences_the_alert_and_only_the_alert(tenant):
    call = tenant(dailyMismatchAlertThreshold=2)
    call.close(JAN, p_one=10_000, p_two=20_000)
    first = call.reconcile(JAN, "stub_default")
    for number, row in enumerate(first["triageQueue"]):
        _decide(call, row, status=("dismissed", "resolved")[number], notes="known")
    call("POST", RUN, {})
    assert call.audits("MONEY_RAIL_MISMATCH_ALERT") == []
    after = call.reconcile(JAN, "stub_default")
    assert (after["status"], after["reportHash"]) == ("fail", first["reportHash"])
    assert after["triageSummary"]["unresolved"] == 0


# --- A12 ------------------------------------------------------------------------------------------------
def test_a12_no_tenant_turns_real_money_on_by_itself(tenant):
    call = tenant()
    made = call("POST", "/ops/api-keys", {"scopes": ["ops_write", "finance_read"]}, expect=201).json
    key = {"x_proxy_api_key": f"{made['keyId']}.{made['secret']}"}
    call("GET", PLAN, **key)
    call("PUT", PLAN, {"moneyRails": REAL}, expect=403, **key)
    more = {"scopes": ["finance_write"]}
    call("POST", "/ops/api-keys", more, expect=403, **key)
    assert call("GET", PLAN).json["billing"]["moneyRails"]["realMoneyEnabled"] is False


def test_a12_no_second_rail_pays_by_itself(tenant):
    call = tenant(**REAL)
    call.close(JAN, p_one=10_000)
    operation = call.enqueue("p_one", JAN, "bank_wire")
    assert call.submit(operation, expect=409).json["code"] == "MONEY_RAIL_SUBMIT_UNSUPPORTED"
    by_hand = call("POST", f"{operation_path(operation)}/submit", {"providerRef": "wire_1"}).json
    assert by_hand["providerSubmission"]["manual"] is True


def test_a12_the_docs_promise_no_general_chargeback_cover():
    text = (DOCS / "payments-alpha.md").read_text().lower()
    for promise in ("no self-serve real money", "no second rail", "no general chargeback cover"):
        assert promise in text
