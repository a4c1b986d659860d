"""GET /ops/evidence/payouts/{providerId}/{operationId} and GET /ops/evidence/reports/{artifactId}"""

import json
from urllib.parse import quote

import pytest

from settld import evidence_verifier
from tests.evidence.conftest import members_of
from tests.support.api import body, refusal


def payout_path(operation, base="/ops/evidence/payouts"):
    return f"{base}/{operation['providerId']}/{quote(operation['operationId'], safe=':')}"


def report_id(api):
    answer = body(api.get("/ops/finance/money-rails/reconcile?period=2026-01&persist=true"))
    return answer["artifact"]["artifactId"]


def audited(api):
    return body(api.get("/ops/audit?action=EVIDENCE_PACK_EXPORTED"))["audit"]


def test_a_payouts_pack_verifies_with_the_public_key_alone(world, reversed_payout, keys):
    answer = world.api.get(payout_path(reversed_payout))

    assert (answer.status_code, answer["content-type"]) == (200, "application/zip")
    verdict = evidence_verifier.verify("pack.zip", answer.content, keys=keys)
    assert verdict.is_valid, list(verdict.lines())
    assert not verdict.notes
    assert sum("signed by key_" in text for text in verdict.passed) == 4  # manifest and three artifacts


def test_a_payouts_pack_holds_its_whole_story(world, reversed_payout):
    members = members_of(world.api.get(payout_path(reversed_payout)).content)

    operation = json.loads(members["payouts/0001/operation.json"])
    assert operation == world.read(reversed_payout)
    read = {name: json.loads(members[f"payouts/0001/{name}.json"]) for name in (
        "attempts", "events", "movements", "chargebacks", "gates", "statement", "instruction")}  # fmt: skip
    assert [row["status"] for row in read["attempts"]] == ["succeeded"]
    assert read["attempts"][0]["request"]["amountCents"] == 10_000
    assert [row["eventType"] for row in read["events"]] == ["confirmed", "reversed"]
    assert [row["kind"] for row in read["movements"]] == ["transfer", "reversal"]
    assert [row["kind"] for row in read["chargebacks"]] == ["reversal"]
    assert {row["verdict"] for row in read["gates"]["verdicts"]} >= {"passed"}
    assert read["statement"]["artifact"]["payoutCents"] == 10_000
    assert read["instruction"]["artifact"]["artifactId"] == operation["metadata"]["payoutArtifactId"]
    assert [row["mismatchType"] for row in json.loads(members["mismatches.json"])] == ["terminal_failure"]
    report = json.loads(members["reports/0001.json"])["artifact"]
    assert report["artifactType"] == "MoneyRailReconcileReport.v1"
    actions = [row["action"] for row in json.loads(members["audit/rows.json"])]
    assert actions == [
        "PAYOUT_ENQUEUED",
        "MONEY_RAIL_OPERATION_SUBMITTED",
        "MONEY_RAIL_PROVIDER_EVENT_APPLIED",
        "MONEY_RAIL_CHARGEBACK_RECORDED",
    ]
    assert b"p1" in members["summary.html"]
    assert reversed_payout["operationId"].encode() in members["README.txt"]


def test_a_reports_pack_holds_the_payouts_and_cases_it_names(world, reversed_payout, keys):
    world.statement("p3", cents=5_000)  # an instruction that nobody carried out
    artifact_id = report_id(world.api)

    answer = world.api.get(f"/ops/evidence/reports/{artifact_id}")

    assert answer.status_code == 200, answer.content
    verdict = evidence_verifier.verify("pack.zip", answer.content, keys=keys)
    assert verdict.is_valid, list(verdict.lines())
    members = members_of(answer.content)
    report = json.loads(members["reports/0001.json"])["artifact"]
    assert report["artifactId"] == artifact_id
    operations = [
        json.loads(text)["operationId"] for name, text in members.items() if name.endswith("operation.json")
    ]
    assert operations == [reversed_payout["operationId"]]
    assert len(json.loads(members["mismatches.json"])) == sum(
        map(len, report["report"]["mismatches"].values())
    )
    assert json.loads(members["manifest.json"])["subject"]["reportHash"] == report["reportHash"]


def test_a_report_of_the_providers_side_is_bound_with_its_own_cases(world, reversed_payout, keys):
    from reconciliation.services import keeping, rows
    from reconciliation.states import PROVIDER_REPORT_SCHEMA, Side
    from settld.core import clock, tenancy

    row = {"operationId": reversed_payout["operationId"], "payoutKey": reversed_payout["idempotencyKey"]}
    core = {
        "tenantId": "tenant_a", "period": "2026-01", "providerId": "stub_default", "status": "fail",
        "summary": {}, "mismatches": {"missingTransfers": [row]},
    }  # fmt: skip
    document = keeping.Document(
        side=Side.PROVIDER, schema=PROVIDER_REPORT_SCHEMA, artifact_id="provider_side", report_hash="a" * 64,
        core=core, mismatch_count=9_000, truncated={"missingTransfers": 9_000},
    )  # fmt: skip
    queue = rows.queue_row(period="2026-01", provider_id="stub_default", group="missingTransfers", row=row)
    with tenancy.tenant_scope("tenant_a"):
        keeping.keep(tenant_id="tenant_a", document=document, queue=[queue], now=clock.now())

    packs = [
        world.api.get(path).content
        for path in ("/ops/evidence/reports/provider_side", payout_path(reversed_payout))
    ]

    for content in packs:
        verdict = evidence_verifier.verify("pack.zip", content, keys=keys)
        assert verdict.is_valid, list(verdict.lines())
        assert any("first rows of a longer report" in note for note in verdict.notes)
    own, payouts = (members_of(content) for content in packs)
    assert [case["sourceType"] for case in json.loads(own["mismatches.json"])] == ["provider_statement"]
    kinds = [json.loads(payouts[f"reports/000{n}.json"])["artifact"]["artifactType"] for n in (1, 2)]
    assert kinds == ["MoneyRailReconcileReport.v1", "MoneyRailProviderReconcileReport.v1"]


def test_what_was_found_out_about_a_doubtful_attempt_comes_along(world, reversed_payout):
    from moneyrails.models import DispatchAttempt, DispatchCheck
    from settld.core import clock, tenancy

    with tenancy.tenant_scope("tenant_a"):
        attempt = DispatchAttempt.objects.get(operation__operation_id=reversed_payout["operationId"])
        DispatchCheck.objects.create(
            tenant_id="tenant_a", attempt=attempt, kind="ask", outcome="nothing_found",
            checked_by="person:9", found=[], checked_at=clock.now(),
        )  # fmt: skip

    members = members_of(world.api.get(payout_path(reversed_payout)).content)

    [check] = json.loads(members["payouts/0001/checks.json"])
    assert (check["attempt"], check["checkedBy"], check["found"]) == (1, "person:9", [])
    assert b"person:9" in members["summary.html"]


def test_a_triaged_case_brings_its_decision_and_its_audit_row(world, reversed_payout, keys):
    answer = body(world.api.get("/ops/finance/money-rails/reconcile?period=2026-01&persist=true"))
    case = next(row for row in answer["triageQueue"] if row["mismatchType"] == "terminal_failure")
    sent = {
        name: case[name] for name in ("sourceType", "period", "providerId", "mismatchType", "mismatchKey")
    }
    decided = world.api.post(
        "/ops/finance/reconciliation/triage", sent | {"status": "acknowledged", "notes": "seen by ops"}
    )
    assert decided.status_code in (200, 201), decided.content

    content = world.api.get(payout_path(reversed_payout)).content

    members = members_of(content)
    [row] = json.loads(members["mismatches.json"])
    assert (row["triage"]["status"], row["triage"]["notes"]) == ("acknowledged", "seen by ops")
    assert [step["nextStatus"] for step in row["history"]] == ["acknowledged"]
    targets = [found["targetType"] for found in json.loads(members["audit/rows.json"])]
    assert targets.count("reconciliation_triage") == 1
    assert evidence_verifier.verify("pack.zip", content, keys=keys).is_valid


def test_equal_records_give_equal_bytes_once_a_checkpoint_stands_after_them(world, reversed_payout, keys):
    from settld.audit.services import checkpoints
    from settld.core import clock

    world.controls(maxPayoutAmountCents=1)  # an audit row after the payout's last
    checkpoints.sign_due(now=clock.now())

    first = world.api.get(payout_path(reversed_payout)).content
    second = world.api.get(payout_path(reversed_payout)).content

    assert first == second
    chain = json.loads(members_of(first)["audit/chain.json"])
    assert chain["head"] is None
    assert len(chain["checkpoints"]) == 1
    verdict = evidence_verifier.verify("pack.zip", first, keys=keys)
    assert verdict.is_valid, list(verdict.lines())
    assert any("checkpoint" in text and "signed by" in text for text in verdict.passed)


def test_without_a_checkpoint_only_the_end_of_the_chain_differs(world, reversed_payout):
    packs = [members_of(world.api.get(payout_path(reversed_payout)).content) for _ in range(2)]

    differing = {name for name in packs[0] if packs[0][name] != packs[1][name]}

    assert differing <= {"audit/chain.json", "manifest.json"}
    assert json.loads(packs[0]["audit/chain.json"])["head"]["seq"] >= 3


def test_the_export_is_audited_with_the_packs_hash(world, reversed_payout):
    answer = world.api.get(payout_path(reversed_payout))
    world.api.get(f"/ops/evidence/reports/{report_id(world.api)}")

    newest, first = audited(world.api)
    assert first["targetId"] == reversed_payout["operationId"]
    assert first["details"]["artifactHash"] == answer["x-settld-artifact-hash"]
    assert first["details"]["sha256"] == evidence_verifier.sha256(answer.content)
    assert (newest["targetType"], newest["details"]["kind"]) == ("reconcile_report", "report")


@pytest.mark.parametrize(
    "scopes", [{"finance_read"}, {"audit_read"}, {"ops_write", "audit_read"}, {"finance_write"}]
)
def test_a_pack_needs_both_finance_read_and_audit_read(world, reversed_payout, settings, scopes):
    artifact_id = report_id(world.api)
    settings.OPS_TOKENS = settings.OPS_TOKENS | {"tok_some": frozenset(scopes)}

    for path in (payout_path(reversed_payout), f"/ops/evidence/reports/{artifact_id}"):
        assert refusal(world.api.with_token("tok_some").get(path)) == (403, "FORBIDDEN")
    assert audited(world.api) == []


@pytest.mark.parametrize("path", [
    "/ops/evidence/payouts/stub_default/mop_nobody", "/ops/evidence/payouts/nobody/mop_nobody",
    "/ops/evidence/reports/nothing", "/ops/evidence/payouts/stub_default/%00", "/ops/evidence/reports/%00",
])  # fmt: skip
def test_what_is_not_there_is_404(world, path):
    assert refusal(world.api.get(path)) == (404, "NOT_FOUND")
    assert audited(world.api) == []


def test_another_tenants_payout_and_another_kind_of_artifact_are_404(world, reversed_payout):
    other = world.api.as_tenant("tenant_b")
    assert refusal(other.get(payout_path(reversed_payout))) == (404, "NOT_FOUND")
    assert refusal(other.get(f"/ops/evidence/reports/{report_id(world.api)}")) == (404, "NOT_FOUND")
    instruction = quote(reversed_payout["metadata"]["payoutArtifactId"], safe="")
    assert refusal(world.api.get(f"/ops/evidence/reports/{instruction}")) == (404, "NOT_FOUND")


def test_the_number_of_queries_does_not_grow_with_the_rows(world):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def queries(path):
        world.api.get(path)
        with CaptureQueriesContext(connection) as captured:
            assert world.api.get(path).status_code == 200
        return len(captured)

    world.payout("p1", state="failed")
    one = queries(f"/ops/evidence/reports/{report_id(world.api)}")
    for number in range(2, 6):
        world.payout(f"p{number}", state="failed")
    assert queries(f"/ops/evidence/reports/{report_id(world.api)}") == one


def test_what_a_bound_cut_off_is_named(world, monkeypatch, keys):
    from ops_console.evidence.packs import collecting

    monkeypatch.setattr(collecting, "MOST_OPERATIONS", 2)
    for number in range(3):
        world.payout(f"p{number}", state="failed")

    content = world.api.get(f"/ops/evidence/reports/{report_id(world.api)}").content

    members = members_of(content)
    assert json.loads(members["manifest.json"])["cutOff"] == [{"what": "payouts", "kept": 2}]
    assert sum(name.endswith("operation.json") for name in members) == 2
    assert b"only the first 2 payouts" in members["README.txt"]
    verdict = evidence_verifier.verify("pack.zip", content, keys=keys)
    assert verdict.is_valid
    assert verdict.notes == ["the pack was cut off: it holds only the first 2 payouts"]


def test_a_party_with_a_hostile_name_stays_text(world, keys):
    operation = world.payout("<script>alert(1)</script>/../ü")

    answer = world.api.get(
        f"/ops/evidence/payouts/{operation['providerId']}/{quote(operation['operationId'], safe='')}"
    )

    assert answer.status_code == 200, answer.content
    members = members_of(answer.content)
    assert b"<script>" not in members["summary.html"]
    assert "\n" not in answer["content-disposition"]
    assert evidence_verifier.verify("pack.zip", answer.content, keys=keys).is_valid


# --- The console's buttons ----------------------------------------------------------------------------
def test_the_payout_page_offers_the_pack_and_the_button_gives_it(world, reversed_payout, keys):
    from tests.ops_console.world import page_of

    auditor = world.person("auditor")
    page = auditor.get(page_of(reversed_payout)).content.decode()
    href = f"/console{payout_path(reversed_payout, '/evidence/payouts')}"

    assert href in page
    answer = auditor.get(href)
    assert answer["content-type"] == "application/zip"
    assert "no-store" in answer["cache-control"]
    assert evidence_verifier.verify("pack.zip", answer.content, keys=keys).is_valid
    assert audited(world.api)[0]["actorPrincipalId"].startswith("person:")


def test_the_report_button_gives_the_reports_pack(world, reversed_payout, keys):
    from django.template.loader import render_to_string

    artifact_id = report_id(world.api)
    button = render_to_string(
        "ops_console/evidence/_report_button.html", {"report": {"artifact_id": artifact_id}}
    )
    href = f"/console/evidence/reports/{artifact_id}"

    assert f'href="{href}"' in button
    answer = world.person("approver").get(href)
    assert evidence_verifier.verify("pack.zip", answer.content, keys=keys).is_valid


def test_the_report_page_shows_the_button_and_its_artifact_verifies(world, reversed_payout, keys):
    from django.urls import reverse

    artifact_id = report_id(world.api)
    auditor = world.person("auditor")
    page = auditor.get(reverse("console:reconciliation-report", kwargs={"artifact_id": artifact_id}))
    assert f'href="/console/evidence/reports/{artifact_id}"' in page.content.decode()
    stored = auditor.get(reverse("console:reconciliation-artifact", kwargs={"artifact_id": artifact_id}))
    verdict = evidence_verifier.verify("artifact.json", stored.content, keys=None)
    assert verdict.is_valid, list(verdict.lines())
    answered = world.api.get(f"/artifacts/{artifact_id}")  # the signature stands in the API's answer
    verdict = evidence_verifier.verify("answer.json", answered.content, keys=keys)
    assert verdict.is_valid, list(verdict.lines())


def test_a_viewer_gets_no_pack(world, reversed_payout):
    viewer = world.person("viewer")
    assert viewer.get(f"/console{payout_path(reversed_payout, '/evidence/payouts')}").status_code == 403
    assert viewer.get(f"/console/evidence/reports/{report_id(world.api)}").status_code == 403
    assert audited(world.api) == []


# --- The public key -----------------------------------------------------------------------------------
def test_the_signing_keys_are_public_the_one_in_use_first(client, settings):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from settld.core import signatures

    retired = signatures.public_pem(Ed25519PrivateKey.generate().public_key())
    settings.RETIRED_SIGNING_KEYS = {signatures.key_id(retired): retired}

    answer = client.get("/.well-known/settld-signing-keys.json")
    pem = client.get("/.well-known/settld-signing-keys.pem")

    keys = answer.json()["keys"]
    assert [key["isInUse"] for key in keys] == [True, False]
    assert keys[0]["publicKeyPem"] == signatures.server_public_pem()
    assert pem["content-type"] == "application/x-pem-file"
    assert list(evidence_verifier.load_keys(pem.content)) == [key["keyId"] for key in keys]
    assert client.post("/.well-known/settld-signing-keys.json").status_code == 405


# --- Beside running acts ------------------------------------------------------------------------------
def test_a_pack_never_shows_half_of_an_act(live_db, api, keys):
    """An act holds the payout's row until it commits; the export waits for it and then shows all of it."""
    import threading

    from django.db import connections

    from moneyrails.models import Operation
    from settld.core import tenancy, transactions
    from tests.ops_console.world import World

    world = World(api)
    operation = world.payout("p1", state="submitted")
    answers, has_asked = [], threading.Event()

    def export():
        try:
            has_asked.set()
            answers.append(world.api.get(payout_path(operation)))
        finally:
            connections.close_all()

    exporting = threading.Thread(target=export)
    with tenancy.tenant_scope("tenant_a"), transactions.atomic():
        Operation.objects.select_for_update().get(operation_id=operation["operationId"])
        exporting.start()
        has_asked.wait()
        exporting.join(0.5)
        assert answers == []  # it waits
        world.take(operation, "confirmed")
    exporting.join(30)

    [answer] = answers
    members = members_of(answer.content)
    assert json.loads(members["payouts/0001/operation.json"])["state"] == "confirmed"
    assert [row["eventType"] for row in json.loads(members["payouts/0001/events.json"])] == ["confirmed"]
    assert evidence_verifier.verify("pack.zip", answer.content, keys=keys).is_valid
