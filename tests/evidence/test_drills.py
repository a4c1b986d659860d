"""The evidence commands of section 7, against a server that answers from a script; no database is open"""

import json
import re
import socket

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from django.core.management import CommandError, call_command, execute_from_command_line

from settld import evidence_verifier
from settld.core.hashing import canonical_hash, sha256_hex
from tests.evidence.scripted import CUT, OPERATION, serving

RECONCILE = "ops_money_rails_reconcile_evidence"
CHARGEBACK = "ops_money_rails_chargeback_evidence"
TOKEN = "tok_very_secret_token"
AT = "2026-03-10T12:00:00.000Z"


@pytest.fixture
def server():
    with serving() as scripted:
        yield scripted


@pytest.fixture
def run(server, capsys):
    """Run a command; gives (exit code, document or None, stderr)."""

    def running(command, *flags, token=TOKEN, base_url=None):
        code, error = 0, ""
        try:
            call_command(command, f"--ops-token={token}", f"--base-url={base_url or server.base_url}", *flags)
        except SystemExit as ended:
            code = ended.code
        except CommandError as refused:
            code, error = refused.returncode, str(refused)
        out, err = capsys.readouterr()
        assert token not in out + err + error
        return code, json.loads(out) if out else None, err + error

    return running


@pytest.fixture
def key_file(tmp_path):
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "pub.pem").write_text(_public(key))
    return path


def _public(key):
    from settld.core.signatures import public_pem

    return public_pem(key.public_key())


def chargeback(run, *flags, **more):
    return run(CHARGEBACK, f"--operation-id={OPERATION}", *flags, **more)


# --- Reconcile -----------------------------------------------------------------------------------------
def test_reconcile_makes_one_call_and_writes_the_file_of_the_schema(run, server, tmp_path, key_file):
    out = tmp_path / "deep" / "er" / "file.json"

    code, document, _err = run(
        RECONCILE,
        "--period=2026-01",
        f"--out={out}",
        f"--signing-key-file={key_file}",
        "--signature-key-id=mine",
    )

    assert code == 0
    assert list(document) == [
        "type", "v", "capturedAt", "baseUrl", "tenantId", "period", "providerId", "persist", "reconcile",
        "artifactHash", "signature",
    ]  # fmt: skip
    assert (document["type"], document["v"], document["persist"]) == (
        "MoneyRailReconcileEvidence.v1",
        1,
        True,
    )
    assert (document["tenantId"], document["providerId"]) == ("tenant_default", "stub_default")
    assert document["signature"]["keyId"] == "mine"
    assert out.read_text() == json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    assert [path.name for path in out.parent.iterdir()] == ["file.json"]
    assert evidence_verifier.run([str(out)], str(tmp_path / "pub.pem"))[0] == 0
    [asked] = server.asked
    assert (asked.method, asked.path) == ("GET", "/ops/finance/money-rails/reconcile")
    assert asked.query == {"period": "2026-01", "providerId": "stub_default", "persist": "true"}
    assert asked.headers["x-proxy-ops-token"] == TOKEN
    assert asked.headers["x-proxy-tenant-id"] == "tenant_default"


def test_the_month_is_the_current_one_and_persist_can_be_off(run, server):
    code, document, _err = run(
        RECONCILE, "--persist=false", "--tenant-id=tenant_x", "--provider-id=stripe_sim"
    )
    from settld.core import clock

    assert code == 0
    assert document["period"] == server.asked[0].query["period"] == clock.period_of(clock.now())
    assert (document["persist"], server.asked[0].query["persist"]) == (False, "false")
    assert server.asked[0].headers["x-proxy-tenant-id"] == "tenant_x"


@pytest.mark.parametrize(("expected", "code"), [("pass", 0), ("fail", 2)])
def test_another_status_than_expected_is_2_and_still_written(run, tmp_path, expected, code):
    out = tmp_path / "file.json"
    ended, document, err = run(RECONCILE, "--period=2026-01", f"--expect-status={expected}", f"--out={out}")
    assert ended == code
    assert json.loads(out.read_text()) == document
    assert ("expected fail" in err) == (code == 2)


@pytest.mark.parametrize("answer", [
    (400, {"error": "x", "code": "SCHEMA_INVALID"}), (403, {"code": "FORBIDDEN", "echo": TOKEN}),
    (500, b"oops"),
    (200, {"ok": True}), (200, b"not json"), (200, {"status": "pass", "n": 2**60}), (302, {}), (200, CUT),
    (200, b'{"status":"pass","status":"fail"}'),
])  # fmt: skip
def test_reconcile_without_a_report_is_1_and_writes_nothing(run, server, tmp_path, answer):
    server.override = lambda asked: answer
    out = tmp_path / "file.json"
    code, document, err = run(RECONCILE, "--period=2026-01", f"--out={out}")
    assert (code, document, out.exists(), bool(err)) == (1, None, False, True)
    assert len(server.asked) == 1  # a redirect is not followed


def test_nobody_listening_is_1(run):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        code, document, err = run(RECONCILE, base_url=f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert (code, document) == (1, None)
    assert "network error" in err


def test_equal_answers_give_an_equal_hash_with_a_fixed_clock(run):
    flags = ("--period=2026-01", f"--captured-at={AT}")
    first, second = (run(RECONCILE, *flags)[1] for _ in range(2))
    assert first == second
    assert first["capturedAt"] == AT


def test_what_the_server_echoes_of_the_token_is_hidden(run, server, tmp_path):
    server.override = lambda asked: (200, {"status": "pass", "echo": f"you sent {TOKEN}", TOKEN: [TOKEN]})
    out = tmp_path / "file.json"
    code, document, _err = run(RECONCILE, "--period=2026-01", f"--out={out}")
    assert code == 0
    assert document["reconcile"] == {"status": "pass", "echo": "you sent ***", "***": ["***"]}
    assert TOKEN not in out.read_text()
    assert evidence_verifier.run([str(out)], None)[0] == 0


# --- Chargeback ----------------------------------------------------------------------------------------
def test_the_calls_come_in_their_order_and_the_file_has_the_schema(run, server, tmp_path, key_file):
    out = tmp_path / "file.json"
    code, document, err = chargeback(
        run, "--period=2026-01", "--payout-period=2026-02", "--expect-outstanding-cents=12500",
        "--expect-payout-code=NEGATIVE_BALANCE_PAYOUT_HOLD", f"--out={out}", f"--signing-key-file={key_file}",
        f"--at={AT}",
    )  # fmt: skip

    assert code == 0, err
    name = OPERATION.rsplit("/", 1)[-1]
    assert server.lines() == [
        f"GET {name}", "POST ingest", "POST ingest", f"GET {name}", "POST ingest", f"GET {name}",
        "GET chargebacks", "POST enqueue",
    ]  # fmt: skip
    ingests = [asked.body for asked in server.asked if asked.path.endswith("ingest")]
    assert [body["eventType"] for body in ingests] == ["submitted", "confirmed", "reversed"]
    event_id = f"evt_chargeback_{sha256_hex(OPERATION)[:16]}"
    assert ingests[2] == {
        "operationId": OPERATION, "eventType": "reversed", "eventId": event_id, "at": AT,
        "reasonCode": "chargeback",
    }  # fmt: skip
    assert server.asked[6].query == {"providerId": "stub_default", "partyId": "p1", "period": "2026-01"}
    assert server.asked[7].path == "/ops/payouts/p1/2026-02/enqueue"
    assert server.asked[7].body == {"moneyRailProviderId": "stub_default"}
    assert list(document) == [
        "type", "v", "capturedAt", "status", "failures", "inputs", "checks", "calls", "artifactHash",
        "signature",
    ]  # fmt: skip
    assert list(document["inputs"]) == [
        "baseUrl", "tenantId", "providerId", "operationId", "partyId", "period", "reasonCode", "eventId",
        "at", "payoutPeriod", "payoutPartyId", "expectOutstandingCents", "expectPayoutCode",
    ]  # fmt: skip
    assert document["checks"] == {
        "reverseApplied": True, "operationStateAfter": "reversed", "outstandingCents": 12_500,
        "payoutStatusCode": 409, "payoutCode": "NEGATIVE_BALANCE_PAYOUT_HOLD",
    }  # fmt: skip
    assert list(document["calls"]) == [
        "operationBefore", "submitIngest", "confirmIngest", "operationConfirmed", "reverseIngest",
        "operationAfter", "exposure", "payoutCheck",
    ]  # fmt: skip
    assert all(set(call) == {"statusCode", "ok", "body"} for call in document["calls"].values())
    assert (document["status"], document["failures"], document["signature"]["keyId"]) == ("pass", [], None)
    assert evidence_verifier.run([str(out)], str(tmp_path / "pub.pem"))[0] == 0


def test_the_idempotency_keys_name_verb_operation_and_content(run, server):
    chargeback(run, "--payout-period=2026-02", "--idempotency-prefix=drill")
    keys = {
        asked.headers["x-idempotency-key"]: asked.body for asked in server.asked if asked.method == "POST"
    }
    for (key, body), verb in zip(keys.items(), ("submitted", "confirmed", "reversed", "payout"), strict=True):
        assert key == f"drill_{verb}_{OPERATION}_{canonical_hash(body)[:12]}"


@pytest.mark.parametrize("operation_id", ["mop_" + "x" * 800, "mop_pärty"])
def test_an_id_that_no_header_takes_is_hashed_in_the_key(run, server, operation_id):
    code, _document, err = run(CHARGEBACK, f"--operation-id={operation_id}")
    assert code == 0, err
    keys = [asked.headers["x-idempotency-key"] for asked in server.asked if asked.method == "POST"]
    assert all(sha256_hex(operation_id) in key and len(key) <= 500 for key in keys)


@pytest.mark.parametrize(
    ("state", "driven"), [("submitted", ["confirmed", "reversed"]), ("confirmed", ["reversed"])]
)
def test_only_the_missing_events_are_told(run, server, state, driven):
    server.state = state
    code, document, _err = chargeback(run)
    assert code == 0
    assert [asked.body["eventType"] for asked in server.asked if asked.method == "POST"] == driven
    assert (document["calls"]["submitIngest"], document["calls"]["payoutCheck"]) == (None, None)
    assert (document["calls"]["operationConfirmed"] is None) == (state == "confirmed")


def test_a_rerun_on_a_reversed_operation_passes_with_reverse_applied_false(run, server):
    assert chargeback(run)[0] == 0
    code, document, _err = chargeback(run)
    assert (code, document["status"], document["checks"]["reverseApplied"]) == (0, "pass", False)
    assert document["checks"]["operationStateAfter"] == "reversed"


def test_a_replayed_answer_does_not_count_as_applied(run, server):
    server.state = "reversed"
    server.override = lambda asked: (200, {"applied": True}) if asked.path.endswith("ingest") else None
    assert chargeback(run)[1]["checks"]["reverseApplied"] is False


@pytest.mark.parametrize("state", ["initiated", "submitted", "failed", "cancelled"])
def test_a_production_or_finished_operation_is_never_driven(run, server, state):
    server.state, server.mode = state, "production"
    code, document, err = chargeback(run)
    assert code == 2
    assert [asked.method for asked in server.asked if asked.path.endswith("ingest")] == []
    assert document["failures"] == [f"the operation is {state}, not confirmed: no reversal was sent"]
    assert document["calls"]["reverseIngest"] is None
    assert "no reversal was sent" in err


def test_a_confirmation_that_does_not_take_sends_no_reversal(run, server):
    server.override = lambda asked: (
        (409, {"code": "MONEY_RAIL_INVALID_TRANSITION"})
        if asked.body and asked.body.get("eventType") == "confirmed"
        else None
    )
    code, document, _err = chargeback(run)
    assert code == 2
    assert document["failures"] == [
        "confirmIngest was answered 409 MONEY_RAIL_INVALID_TRANSITION",
        "the operation is submitted, not confirmed: no reversal was sent",
    ]
    assert document["calls"]["exposure"]["ok"] is True


@pytest.mark.parametrize(("part", "name"), [
    ("GET mop", "operationBefore"), ("reversed", "reverseIngest"), ("chargebacks", "exposure"),
])  # fmt: skip
def test_any_call_that_is_no_2xx_fails_the_drill_and_is_written(run, server, tmp_path, part, name):
    def refuse(asked):
        said = f"{asked.method} {asked.path.rsplit('/', 1)[-1]} {(asked.body or {}).get('eventType')}"
        return (503, {"code": "SERVICE_UNAVAILABLE"}) if part in said else None

    server.override = refuse
    out = tmp_path / "file.json"
    code, document, _err = chargeback(run, f"--out={out}")
    assert code == 2
    assert f"{name} was answered 503 SERVICE_UNAVAILABLE" in document["failures"]
    assert document["calls"][name] == {
        "statusCode": 503,
        "ok": False,
        "body": {"code": "SERVICE_UNAVAILABLE"},
    }
    assert json.loads(out.read_text())["status"] == "fail"


def test_a_refused_payout_alone_is_no_failure(run):
    code, document, _err = chargeback(run, "--payout-period=2026-02", "--payout-party-id=p9")
    assert (code, document["checks"]["payoutStatusCode"]) == (0, 409)
    assert document["inputs"]["payoutPartyId"] == "p9"


@pytest.mark.parametrize("flags", [
    ("--expect-outstanding-cents=1",), ("--payout-period=2026-02", "--expect-payout-code=OTHER"),
])  # fmt: skip
def test_another_debt_or_code_than_expected_is_2(run, flags):
    code, document, _err = chargeback(run, *flags)
    assert (code, document["status"], len(document["failures"])) == (2, "fail", 1)


def test_the_debt_is_the_partys_own(run, server):
    assert chargeback(run, "--party-id=p0")[1]["checks"]["outstandingCents"] == 1
    assert chargeback(run, "--party-id=nobody")[1]["checks"]["outstandingCents"] == 0
    server.party = None
    assert chargeback(run)[1]["checks"]["outstandingCents"] == 12_501  # of all parties


def test_a_network_that_breaks_in_the_middle_is_1_and_writes_nothing(run, server, tmp_path):
    server.override = lambda asked: (200, CUT) if asked.path.endswith("chargebacks") else None
    out = tmp_path / "file.json"
    assert chargeback(run, f"--out={out}")[:2] == (1, None)
    assert not out.exists()


def test_a_fixed_clock_fixes_the_events_too(run, server):
    server.state = "reversed"
    first, second = (chargeback(run, f"--captured-at={AT}")[1] for _ in range(2))
    assert first == second
    assert (first["capturedAt"], first["inputs"]["at"]) == (AT, AT)


# --- Flags, keys and places: 1 before any call -----------------------------------------------------------
@pytest.mark.parametrize("flags", [
    ("--period=2026-13",), ("--period=",), ("--at=yesterday",), ("--captured-at=2026-01-01",),
    ("--expect-outstanding-cents=-1",), ("--expect-outstanding-cents=1.5",), ("--expect-payout-code=X",),
    ("--provider-id=",), ("--tenant-id=a\nb",), ("--tenant-id=",), ("--reason-code= ",), ("--base-url=ftp://x",),
    ("--base-url=http://user:pw@host",), ("--base-url=http://host?a=1",), ("--base-url=nonsense",),
    ("--base-url=http://host:99999",), ("--idempotency-prefix=ü",), ("--what=ever",), ("--operation-id= ",),
    ("--signature-key-id=mine",), (f"--reason-code={TOKEN}",), ("--out=",), ("--out=/proc/nowhere/x.json",),
    ("--signing-key-file=/absent.pem",),
])  # fmt: skip
def test_wrong_usage_is_1_before_any_call(run, server, flags):
    code, document, err = chargeback(run, *flags)
    assert (code, document, server.asked) == (1, None, [])
    assert err


@pytest.mark.parametrize("token", ["", "  ", "two\nlines", "tök"])
def test_a_token_that_no_header_takes_is_1(server, capsys, token):
    with pytest.raises(CommandError) as refused:
        call_command(RECONCILE, f"--ops-token={token}", f"--base-url={server.base_url}")
    assert refused.value.returncode == 1
    assert server.asked == []
    assert not token.strip() or token.strip() not in str(refused.value)


@pytest.mark.parametrize("kind", ["rsa", "encrypted", "public", "garbage", "folder"])
def test_a_key_that_is_not_ed25519_is_1_before_any_call(run, server, tmp_path, kind):
    path = tmp_path / "key.pem"
    key = Ed25519PrivateKey.generate()
    if kind == "folder":
        path.mkdir()
    else:
        rsa = generate_private_key(65537, 2048) if kind == "rsa" else key
        path.write_bytes({
            "rsa": rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "encrypted": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pw")),
            "public": _public(key).encode(),
            "garbage": b"not a key",
        }[kind])  # fmt: skip
    code, document, err = run(RECONCILE, f"--signing-key-file={path}")
    assert (code, document, server.asked) == (1, None, [])
    assert "--signing-key-file" in err


def test_a_folder_that_cannot_be_written_stops_the_drill_before_it_reverses_anything(run, server, tmp_path):
    (tmp_path / "file").write_text("x")
    for out in (tmp_path, tmp_path / "file" / "under.json"):
        assert chargeback(run, f"--out={out}")[:2] == (1, None)
    assert server.asked == []


def test_an_older_file_is_replaced_whole(run, tmp_path):
    out = tmp_path / "file.json"
    out.write_text("older " * 10_000)
    _code, document, _err = run(RECONCILE, "--period=2026-01", f"--out={out}")
    assert json.loads(out.read_text()) == document
    assert re.fullmatch(r"[0-9a-f]{64}", document["artifactHash"])


# --- As the command line has it --------------------------------------------------------------------------
PACKET = "ops_design_partner_run_packet"


def from_command_line(capsys, *arguments):
    """Run a command as `manage.py` does; argparse ends the process by itself."""
    with pytest.raises(SystemExit) as ended:
        execute_from_command_line(["manage.py", *arguments])
    out, err = capsys.readouterr()
    return ended.value.code, out, err


@pytest.mark.parametrize("arguments", [
    (RECONCILE,), (CHARGEBACK,), (PACKET,), ("ops_evidence_verify",), ("ops_evidence_verify", "--file"),
    (RECONCILE, "--ops-token"), (RECONCILE, "--ops-token=s3cret-x", "--ops-tokne", "s3cret-y"),
    (RECONCILE, "--ops-tok=s3cret-x"), (RECONCILE, "--ops-token=s3cret-x", "--persist=s3cret-y"),
    (CHARGEBACK, "--ops-token=s3cret-x"),
    (CHARGEBACK, "--ops-token=s3cret-x", "--operation-id=a", "s3cret-y"),
    (PACKET, "--ops-token=s3cret-x"), (PACKET, "--ops-token=s3cret-x", "--help=s3cret-y"),
])  # fmt: skip
def test_usage_errors_are_1_and_repeat_no_value(capsys, arguments):
    code, out, err = from_command_line(capsys, *arguments)
    assert (code, out) == (1, "")
    assert "error" in err.lower()
    assert "s3cret" not in err


@pytest.mark.parametrize("command", [RECONCILE, CHARGEBACK, PACKET, "ops_evidence_verify"])
def test_help_is_0(capsys, command):
    code, out, _err = from_command_line(capsys, command, "--help")
    assert code == 0
    assert out.startswith("usage:")
