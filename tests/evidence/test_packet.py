"""ops_design_partner_run_packet (section 7)"""

import json
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.management import CommandError, call_command

from ops_console.evidence.drills import runs
from settld import evidence_verifier
from tests.evidence.scripted import OPERATION, serving

PACKET = "ops_design_partner_run_packet"
TOKEN = "tok_very_secret_ABCDEFGH"
AT = "2026-03-10T12:00:00.000Z"
BOTH_SKIPPED = ("--skip-reconcile-run=true", "--skip-chargeback-run=true", "--period=2026-01")


@pytest.fixture
def server():
    with serving() as scripted:
        yield scripted


@pytest.fixture
def run(server, capsys, tmp_path, monkeypatch):
    """Run a command in an empty folder; gives (exit code, document or None, error)."""
    monkeypatch.chdir(tmp_path)

    def running(command, *flags):
        code, error = 0, ""
        try:
            call_command(command, f"--ops-token={TOKEN}", f"--base-url={server.base_url}", *flags)
        except SystemExit as ended:
            code = ended.code
        except CommandError as refused:
            code, error = refused.returncode, str(refused)
        out, err = capsys.readouterr()
        assert TOKEN not in out + err + error
        return code, json.loads(out) if out else None, err + error

    return running


@pytest.fixture
def parts(run):
    """The evidence of both drills, as files of an earlier run."""
    run("ops_money_rails_reconcile_evidence", "--period=2026-01", "--out=r.json", f"--captured-at={AT}")
    run(
        "ops_money_rails_chargeback_evidence",
        f"--operation-id={OPERATION}",
        "--out=c.json",
        f"--captured-at={AT}",
    )
    return ("--reconcile-artifact-path=r.json", "--chargeback-artifact-path=c.json")


def changed(path, **members):
    written(path, json.dumps(json.loads(Path(path).read_text()) | members))


def written(path, text):
    Path(path).write_text(text)


def rehashed(path, **members):
    changed(path, **members)
    document = json.loads(Path(path).read_text())
    changed(path, artifactHash=evidence_verifier.artifact_hash(document))


# --- Packets of files that are there --------------------------------------------------------------------
def test_a_packet_of_earlier_files_has_the_schema_and_verifies(run, parts, tmp_path):
    key = Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    from settld.core.signatures import public_pem

    (tmp_path / "pub.pem").write_text(public_pem(key.public_key()))

    code, document, err = run(PACKET, *BOTH_SKIPPED, *parts, "--out=p.json", "--signing-key-file=key.pem")

    assert code == 0, err
    assert list(document) == [
        "type", "v", "capturedAt", "status", "failures", "inputs", "artifacts", "runs", "payloads",
        "artifactHash", "signature",
    ]  # fmt: skip
    assert list(document["inputs"]) == [
        "baseUrl", "tenantId", "providerId", "period", "reconcileExpectStatus", "reconcilePersist",
        "chargebackOperationId", "chargebackPartyId", "chargebackReasonCode", "chargebackPayoutPeriod",
        "expectChargebackOutstandingCents", "expectChargebackPayoutCode",
    ]  # fmt: skip
    assert document["runs"] == {
        "reconcile": {"skipped": True, "reason": "skip_reconcile_run"},
        "chargeback": {"skipped": True, "reason": "skip_chargeback_run"},
    }
    assert document["artifacts"]["reconcile"] == {
        "path": "r.json", "fileHash": evidence_verifier.sha256((tmp_path / "r.json").read_bytes()),
        "artifactHash": document["payloads"]["reconcile"]["artifactHash"], "status": "pass",
    }  # fmt: skip
    assert document["payloads"]["chargeback"] == json.loads((tmp_path / "c.json").read_text())
    code, lines = evidence_verifier.run([str(tmp_path / "p.json")], str(tmp_path / "pub.pem"))
    assert code == 0, lines


def test_equal_files_give_an_equal_packet_with_a_fixed_clock(run, parts):
    flags = (*BOTH_SKIPPED, *parts, f"--captured-at={AT}", "--out=p.json")
    assert run(PACKET, *flags)[1]["artifactHash"] == run(PACKET, *flags)[1]["artifactHash"]


def test_the_default_file_names_month_and_instant(run, parts, tmp_path):
    assert run(PACKET, *BOTH_SKIPPED, *parts, f"--captured-at={AT}")[0] == 0
    [written] = (tmp_path / "artifacts" / "ops").iterdir()
    assert written.name == "design-partner-run-packet-2026-01-2026-03-10T12-00-00-000Z.json"


def test_a_part_that_is_skipped_without_a_file_is_left_out(run, parts):
    code, document, _err = run(PACKET, *BOTH_SKIPPED, parts[0])
    assert code == 0
    assert (document["artifacts"]["chargeback"], document["payloads"]["chargeback"]) == (None, None)


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda: changed("r.json", period="2026-02"), "the reconcile artifact's hash does not recompute"),
    (lambda: rehashed("r.json", period="2026-02"), "the reconcile artifact is about another period"),
    (lambda: rehashed("r.json", tenantId="tenant_b"), "the reconcile artifact is about another tenantId"),
    (lambda: rehashed("r.json", type="Other.v1"), "the reconcile artifact is no MoneyRailReconcileEvid"),
    (lambda: rehashed("r.json", reconcile={"status": "fail"}), "reconcile status is fail, expected pass"),
    (lambda: rehashed("c.json", status="fail", failures=["x"]), "chargeback status is fail, expected pass"),
    (lambda: os.unlink("c.json"), "the chargeback artifact cannot be read"),
    (lambda: written("c.json", "{"), "the chargeback artifact is not JSON, or was cut off"),
    (lambda: written("c.json", "[]"), "the chargeback artifact is not a JSON object"),
    (lambda: written("c.json", '{"a":1,"a":2}'), "the chargeback artifact has the object key 'a' twice"),
])  # fmt: skip
def test_what_is_wrong_with_a_file_fails_the_packet_which_is_written_all_the_same(run, parts, spoil, words):
    spoil()
    code, document, err = run(PACKET, *BOTH_SKIPPED, *parts, "--out=p.json")
    assert (code, document["status"]) == (2, "fail")
    assert any(failure.startswith(words) for failure in document["failures"]), document["failures"]
    assert words in err
    assert json.loads(Path("p.json").read_text()) == document


def test_the_operation_of_the_packet_is_that_of_its_evidence(run, parts):
    code, document, _err = run(PACKET, *BOTH_SKIPPED, *parts, "--chargeback-operation-id=mop_other")
    assert (code, document["failures"]) == (2, ["the chargeback artifact is about another operationId"])


@pytest.mark.parametrize("flags", [
    (), ("--skip-chargeback-run=maybe",), BOTH_SKIPPED,
    ("--chargeback-operation-id=x", "--out=/proc/no/x.json"),
    ("--chargeback-operation-id=x", "--expect-chargeback-payout-code=Y"),
    ("--chargeback-operation-id=x", "--signing-key-file=/absent.pem"),
])  # fmt: skip
def test_wrong_usage_is_1_and_runs_nothing(run, server, flags):
    assert run(PACKET, *flags)[:2] == (1, None)
    assert server.asked == []


# --- Packets that run the drills -------------------------------------------------------------------------
def test_both_drills_run_and_are_bound(run, server, tmp_path):
    code, document, err = run(
        PACKET, "--period=2026-01", f"--chargeback-operation-id={OPERATION}", "--out=p.json"
    )

    assert code == 0, err
    for name, record in document["runs"].items():
        assert list(record) == ["ok", "status", "signal", "runtimeMs", "command", "stdoutTail", "stderrTail"]
        assert (record["ok"], record["status"], record["signal"]) == (True, 0, None)
        assert record["command"][-1] == "--ops-token=***"
        assert record["runtimeMs"] > 0
        assert document["payloads"][name]["artifactHash"] in record["stdoutTail"]
    assert {line.split()[0] for line in server.lines()} == {"GET", "POST"}
    assert TOKEN not in (tmp_path / "p.json").read_text()
    assert evidence_verifier.run([str(tmp_path / "p.json")], None)[0] == 0


def test_a_run_that_fails_is_not_covered_by_an_older_file(run, server, parts):
    server.override = lambda asked: (500, {"code": "INTERNAL_ERROR"}) if "reconcile" in asked.path else None

    code, document, _err = run(
        PACKET,
        "--period=2026-01",
        "--skip-chargeback-run=true",
        parts[0],
        "--out=p.json",
        f"--captured-at={AT}",
    )

    assert code == 2
    assert document["failures"] == [
        "the reconcile run ended with status 1",
        "the reconcile artifact was not written by this run",
    ]
    assert document["runs"]["reconcile"]["runtimeMs"] is None
    assert "500 INTERNAL_ERROR" in document["runs"]["reconcile"]["stderrTail"]


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Put a shell script in the place of the interpreter."""

    def standing(script):
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(runs.sys, "executable", str(path))

    return standing


def test_a_run_that_is_killed_says_by_which_signal(stand_in, tmp_path):
    stand_in("kill -TERM $$")
    done = runs.run("command", {}, token=TOKEN, out=str(tmp_path / "x"), has_fixed_clock=True)
    assert (done.is_ok, done.record["status"], done.record["signal"]) == (False, None, "SIGTERM")


def test_a_run_that_hangs_is_ended(stand_in, tmp_path, monkeypatch):
    stand_in("exec sleep 60")
    monkeypatch.setattr(runs, "PATIENCE_SECONDS", 0.2)
    done = runs.run("command", {}, token=TOKEN, out=str(tmp_path / "x"), has_fixed_clock=True)
    assert done.record["signal"] == "SIGKILL"


def test_the_tails_are_cut_after_the_token_is_hidden(stand_in):
    stand_in(f'printf "%s" {TOKEN}; head -c 11990 /dev/zero | tr "\\0" x; printf "%s" {TOKEN} >&2')
    done = runs.run("command", {}, token=TOKEN, out="o", has_fixed_clock=True)
    assert done.record["stdoutTail"] == "***" + "x" * 11_990  # cut first, ten of its letters would be left
    assert done.record["stderrTail"] == "***"


def test_a_long_output_keeps_its_end(stand_in):
    stand_in('head -c 20000 /dev/zero | tr "\\0" x; printf end')
    tail = runs.run("command", {}, token=TOKEN, out="o", has_fixed_clock=True).record["stdoutTail"]
    assert (len(tail), tail[-4:]) == (12_000, "xend")
