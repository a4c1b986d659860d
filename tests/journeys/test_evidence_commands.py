"""The evidence commands as processes against a live server, as an operator runs them (A4, section 7)"""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.management import execute_from_command_line

from settld import evidence_verifier
from settld.core import signatures
from tests.journeys.conftest import Client
from tests.support import deployment, pristine
from tests.support.http import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
CHECKOUT = Path(evidence_verifier.__file__).parent.parent
HOLD = {"moneyRails": {"chargebacks": {"enabled": True, "negativeBalanceMode": "hold"}}}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def live(_pristine, django_db_blocker):
    """One deployment for all tests of this file; each takes a tenant of its own."""
    from django.db import connections

    with (
        django_db_blocker.unblock(),
        deployment.running("simulator", "web", "worker", web_workers=1) as started,
    ):
        yield started
        connections.close_all()
    pristine.restore(_pristine)


@pytest.fixture
def call(live):
    """A caller for a tenant of this test, which holds a party's payouts while it owes."""
    client = Client(Server(live.base_url), live.ops_token, f"tenant_evidence_{next(_numbers)}_{os.getpid()}")
    client("PUT", "/ops/finance/billing/plan", HOLD)
    return client


@pytest.fixture
def operation_id(call):
    """A payout of January, and an unpaid February."""
    for period in ("2026-01", "2026-02"):
        call("PUT", f"/ops/party-statements/p1/{period}", {"partyRole": "operator", "payoutCents": 12_500})
        closed(call, period)
    return call("POST", "/ops/payouts/p1/2026-01/enqueue", {}, expect=201).json["moneyRailOperation"][
        "operationId"
    ]


def closed(call, period):
    from tests.journeys.conftest import eventually

    call("POST", "/ops/month-close", {"month": period}, expect=202)
    path = f"/ops/month-close?month={period}"
    eventually(lambda: call("GET", path).json["monthClose"]["status"], lambda status: status == "CLOSED")


@pytest.fixture
def signing(tmp_path):
    """A key to sign evidence with."""
    key = Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "pub.pem").write_text(signatures.public_pem(key.public_key()))
    return f"--signing-key-file={tmp_path / 'key.pem'}"


def manage(*arguments):
    """Run a command as a process with no server of ours within reach but over HTTP."""
    nowhere = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE", "REDIS"))}
    return subprocess.run(
        [sys.executable, str(CHECKOUT / "manage.py"), *arguments],
        env=kept | nowhere, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def of(call):
    """The flags that name a caller."""
    return (
        f"--base-url={call.server.base_url}",
        f"--tenant-id={call.tenant_id}",
        f"--ops-token={call.ops_token}",
    )


def drill(call, command, *flags):
    """Run a drill as a process."""
    done = manage(command, *of(call), *flags)
    assert call.ops_token not in done.stdout + done.stderr
    return done


@pytest.fixture
def quickly(capsys):
    """Run a drill in this process; gives (exit code, stdout, stderr)."""

    def running(call, command, *flags):
        code = 0
        try:
            execute_from_command_line(["manage.py", command, *of(call), *flags])
        except SystemExit as ended:
            code = ended.code
        out, err = capsys.readouterr()
        assert call.ops_token not in out + err
        return code, out, err

    return running


def valid(path, public):
    code, lines = evidence_verifier.run([str(path)], str(public))
    return code == 0 or lines


def test_the_chargeback_drill_passes_on_a_live_server_and_again(
    call, operation_id, signing, tmp_path, quickly
):
    out = tmp_path / "evidence" / "drill.json"
    flags = (
        f"--operation-id={operation_id}", "--period=2026-01", "--payout-period=2026-02",
        "--expect-outstanding-cents=12500", "--expect-payout-code=NEGATIVE_BALANCE_PAYOUT_HOLD", signing,
        f"--out={out}",
    )  # fmt: skip

    first = drill(call, "ops_money_rails_chargeback_evidence", *flags)

    assert first.returncode == 0, first.stderr
    document = json.loads(first.stdout)
    assert out.read_text() == first.stdout
    assert document["checks"] == {
        "reverseApplied": True, "operationStateAfter": "reversed", "outstandingCents": 12_500,
        "payoutStatusCode": 409, "payoutCode": "NEGATIVE_BALANCE_PAYOUT_HOLD",
    }  # fmt: skip
    assert valid(out, tmp_path / "pub.pem") is True
    assert call.ops_token not in out.read_text()

    code, out_text, err = quickly(call, "ops_money_rails_chargeback_evidence", *flags)
    assert code == 0, err
    assert json.loads(out_text)["checks"] == document["checks"] | {"reverseApplied": False}

    other = (f"--operation-id={operation_id}", "--expect-outstanding-cents=1")
    code, out_text, _err = quickly(call, "ops_money_rails_chargeback_evidence", *other)
    assert code == 2
    assert json.loads(out_text)["failures"] == ["outstanding is 12500 cents, expected 1"]


def test_reconcile_evidence_of_a_live_server(call, operation_id, signing, tmp_path, quickly):
    flags = ("--period=2026-01", "--captured-at=2026-03-10T12:00:00Z", signing)
    out = tmp_path / "reconcile.json"
    first = drill(call, "ops_money_rails_reconcile_evidence", *flags, "--expect-status=pass", f"--out={out}")
    assert first.returncode == 0, first.stderr
    assert valid(out, tmp_path / "pub.pem") is True
    artifact = json.loads(first.stdout)["reconcile"]["artifact"]
    assert call("GET", f"/artifacts/{artifact['artifactId']}/status").json["verified"] is True

    assert quickly(call, "ops_money_rails_reconcile_evidence", *flags)[:2] == (0, first.stdout)
    unlike = ("--period=2026-01", "--expect-status=fail")
    assert quickly(call, "ops_money_rails_reconcile_evidence", *unlike)[0] == 2
    unknown = ("--period=2026-01", "--provider-id=nobody")
    code, out_text, err = quickly(call, "ops_money_rails_reconcile_evidence", *unknown)
    assert (code, out_text) == (1, "")
    assert "404 NOT_FOUND" in err


def test_the_packet_of_a_live_server(call, operation_id, signing, tmp_path):
    done = drill(
        call, "ops_design_partner_run_packet", "--period=2026-01",
        f"--chargeback-operation-id={operation_id}", "--reconcile-expect-status=pass",
        "--expect-chargeback-outstanding-cents=12500",
        f"--artifacts-dir={tmp_path / 'ops'}", f"--out={tmp_path / 'packet.json'}", signing,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    packet = json.loads(done.stdout)
    assert packet["payloads"]["chargeback"]["checks"]["outstandingCents"] == 12_500
    assert valid(tmp_path / "packet.json", tmp_path / "pub.pem") is True
    for path in tmp_path.rglob("*.json"):
        assert call.ops_token not in path.read_text()

    (tmp_path / "packet.json").write_text(done.stdout.replace("12500", "12501"))
    broken = manage(
        "ops_evidence_verify",
        f"--file={tmp_path / 'packet.json'}",
        f"--public-key-file={tmp_path / 'pub.pem'}",
    )
    assert broken.returncode == 2
    assert "FAILED" in broken.stdout


def test_an_evidence_pack_travels_and_verifies_with_the_published_keys(live, call, operation_id, tmp_path):
    answer = call("GET", f"/ops/evidence/payouts/stub_default/{operation_id}")
    (tmp_path / "pack.zip").write_bytes(answer.raw)
    keys = Server(live.base_url).send("GET", "/.well-known/settld-signing-keys.pem", headers={})
    (tmp_path / "keys.pem").write_bytes(keys.raw)
    assert valid(tmp_path / "pack.zip", tmp_path / "keys.pem") is True


@pytest.mark.skipif(shutil.which("curl") is None, reason="the runbook's lines need curl")
def test_the_runbooks_lines_run_as_they_stand(live, tmp_path):
    text = (CHECKOUT / "docs" / "runbooks" / "chargeback-drill.md").read_text()
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    done = subprocess.run(
        ["bash", "-c", "\n".join(blocks)],
        cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=120,
        env=os.environ | {
            "OPS_TOKEN": live.ops_token, "BASE_URL": live.base_url, "TENANT": f"tenant_runbook_{os.getpid()}",
            "OUT": str(tmp_path / "out"), "PY": sys.executable,
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("VALID")
    written = json.loads((tmp_path / "out" / "chargeback-drill.json").read_text())
    assert written["checks"]["reverseApplied"] is True
