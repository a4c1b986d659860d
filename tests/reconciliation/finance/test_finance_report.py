"""finance 6.1: what a finance report says, hashes, stores and files."""

import pytest

from reconciliation.models import Mismatch, ReconcileReport
from reconciliation.services import finance_report
from settld.artifacts.models import Artifact
from settld.core import canonical_json
from settld.core.hashing import canonical_hash, sha256_hex
from tests.reconciliation.finance.month import (
    NOW,
    PERIOD,
    TENANT,
    batch_id,
    close_month,
    known,
    post,
    reconcile,
    reopen,
    statement_id,
)


def test_a_sound_month_passes_with_exactly_the_spec_s_members(closed):
    report = reconcile()

    # Two payees on the payable account, and the customer's one account, in one currency.
    assert report.core == {
        "ok": True, "period": PERIOD, "basis": "settledAt", "totalsKeys": 3, "entryCount": 2,
    }  # fmt: skip
    assert report.report_hash == sha256_hex(canonical_json.dumps(report.core) + b"\n")
    assert (report.artifact, report.queue) == (None, [])
    ids = report.inputs["partyStatementArtifactIds"]
    assert report.inputs["glBatchArtifactId"] == batch_id()
    assert ids == sorted(ids)
    assert statement_id() in ids
    assert len(ids) == 3


def test_looking_writes_nothing(closed):
    reconcile()

    assert not ReconcileReport.objects.exists()
    assert not Artifact.objects.filter(artifact_type="ReconcileReport.v1").exists()


def test_persisting_stores_one_report_named_by_its_content(closed):
    report = reconcile(persist=True)

    content = {"inputs": report.inputs, "reportHash": report.report_hash}
    stored = Artifact.objects.get(tenant_id=TENANT, artifact_type="ReconcileReport.v1")
    assert stored.artifact_id == f"reconcile_{PERIOD}_{canonical_hash(content)[:24]}"
    assert (report.artifact.artifact_id, report.artifact.artifact_hash) == (
        stored.artifact_id,
        stored.artifact_hash,
    )
    document = stored.document
    assert (document["reconcile"], document["inputs"]) == (report.core, report.inputs)
    # generatedAt is the latest input's, so the same inputs give the same bytes on any day.
    assert document["generatedAt"] == "2026-03-05T12:00:00.000Z"


def test_a_second_run_days_later_finds_the_same_artifact(closed):
    import datetime as dt

    first = reconcile(persist=True)
    again = reconcile(persist=True, now=NOW + dt.timedelta(days=3))

    assert again.artifact == first.artifact
    report = ReconcileReport.objects.get(tenant_id=TENANT, side="finance")
    assert (report.status, report.provider_id, report.last_run_at) == ("pass", "", NOW + dt.timedelta(days=3))


def test_a_reopened_month_has_no_batch_and_a_new_close_compares_the_new_generation_only(closed):
    first = reconcile(persist=True)
    reopen()
    with pytest.raises(finance_report.BatchNotFound) as refused:
        reconcile()
    assert refused.value.message == "GL batch not found"

    post("jnl_late", 55)
    close_month()
    second = reconcile(persist=True)

    assert second.core["ok"]
    assert second.core["entryCount"] == 3
    assert second.inputs["glBatchArtifactId"] != first.inputs["glBatchArtifactId"]
    assert set(second.inputs["partyStatementArtifactIds"]).isdisjoint(
        first.inputs["partyStatementArtifactIds"]
    )


def test_a_month_that_nobody_closed_is_not_found(db):
    from settld.core import tenancy

    known(TENANT)
    with tenancy.tenant_scope(TENANT), pytest.raises(finance_report.BatchNotFound):
        reconcile()


def test_a_month_without_any_statement_says_so(db):
    from settld.core import tenancy

    known(TENANT)
    with tenancy.tenant_scope(TENANT):
        close_month()
        with pytest.raises(finance_report.StatementsNotFound) as refused:
            reconcile()
    assert refused.value.message == "party statements not found"


def test_rows_are_not_capped_peer_reads_the_newest_200_artifacts(db):
    from settld.core import tenancy

    known(TENANT)
    with tenancy.tenant_scope(TENANT):
        for number in range(205):
            post(f"jnl_{number:04d}", 10 + number, payee=f"p{number:04d}")
        close_month()
        report = reconcile(persist=True)

    assert report.core["ok"]
    assert report.core["entryCount"] == 205
    assert len(report.inputs["partyStatementArtifactIds"]) == 206
    assert not Mismatch.objects.filter(tenant_id=TENANT).exists()
