"""Issue 3.3: a report's hash covers every row; what is kept and answered is bounded; memory is flat."""

import json

import pytest

from reconciliation.models import Mismatch, ReconcileReport
from reconciliation.queries import comparison, differences
from reconciliation.queries.differences import Differences
from settld.artifacts.models import Artifact
from settld.core import tenancy
from settld.core.hashing import artifact_hash, canonical_hash
from tests.reconciliation.books import NOW, PERIOD, TENANT, Books, found
from tests.support.api import OPS_TOKEN, SCOPES, Api, body


def test_the_running_hash_is_that_of_the_whole_document():
    rows = {"a": [{"x": 1}, {"y": "é\u2028"}], "b": [], "c": [{"z": None}]}
    rest = {"period": "2026-01", "summary": {"n": 3}, "status": "fail"}
    running = Differences(["c", "a", "b"], most=1)
    for group, held in rows.items():
        for row in held:
            running.add(group, row)

    assert running.report_hash(rest) == canonical_hash({"mismatches": rows} | rest)
    assert (running.count, running.truncated, running.kept["a"]) == (3, {"a": 2}, [{"x": 1}])
    assert [row for _group, row in running] == [{"x": 1}, {"y": "é\u2028"}, {"z": None}]


def test_no_difference_at_all_hashes_to_empty_groups():
    assert Differences(["b", "a"]).report_hash({"period": "x"}) == canonical_hash(
        {"mismatches": {"a": [], "b": []}, "period": "x"}
    )


def test_a_member_that_sorts_before_the_rows_cannot_be_hashed_after_them():
    with pytest.raises(ValueError, match="sorts before"):
        Differences(["a"]).report_hash({"artifactType": "x"})


@pytest.fixture
def crowded(books, monkeypatch):
    """Six payouts that nobody made, where an answer keeps two of a group."""
    monkeypatch.setattr(differences, "MOST_PER_GROUP", 2)
    monkeypatch.setattr(comparison, "Differences", lambda groups: Differences(groups, most=2))
    for number in range(6):
        books.instruct(books.statement(f"p{number}"))
    return books


def test_the_hash_of_a_report_cut_short_is_that_of_the_whole(crowded, monkeypatch):
    short = crowded.reconcile()
    monkeypatch.setattr(comparison, "Differences", Differences)
    whole = crowded.reconcile()

    assert (short.truncated, len(short.core["mismatches"]["missingOperations"])) == (
        {"missingOperations": 6},
        2,
    )
    assert (whole.truncated, len(whole.core["mismatches"]["missingOperations"])) == ({}, 6)
    assert short.report_hash == whole.report_hash == canonical_hash(whole.core)


def test_every_row_becomes_a_case_and_clears_though_the_document_is_cut(crowded, monkeypatch):
    from reconciliation.services import keeping

    monkeypatch.setattr(keeping, "BATCH", 4)
    report = crowded.reconcile(persist=True)

    assert Mismatch.objects.filter(cleared_at__isnull=True).count() == 6
    stored = ReconcileReport.objects.get()
    assert (stored.mismatch_count, stored.summary["criticalMismatchCount"]) == (6, 6)
    document = json.loads(Artifact.objects.get(artifact_type="MoneyRailReconcileReport.v1").body)
    assert document["truncated"] == {"missingOperations": 6}
    assert artifact_hash(document) == report.artifact.artifact_hash
    assert len(document["report"]["mismatches"]["missingOperations"]) == 2


def test_the_answer_says_what_it_leaves_out(db, settings, monkeypatch):
    settings.OPS_TOKENS = {OPS_TOKEN: SCOPES}
    monkeypatch.setattr(comparison, "Differences", lambda groups: Differences(groups, most=2))
    with tenancy.tenant_scope(TENANT):
        for number in range(3):
            Books().instruct(Books().statement(f"p{number}"))

    answer = body(Api(TENANT).get(f"/ops/finance/money-rails/reconcile?period={PERIOD}"))

    assert answer["truncated"] == {"missingOperations": 3}
    assert (len(answer["mismatches"]["missingOperations"]), len(answer["triageQueue"])) == (2, 2)
    assert answer["summary"]["criticalMismatchCount"] == 3


# --- The comparison's two ways to see a second instruction -------------------------------------------
def canonical(payout_key):
    """The id that a month close gives the instruction of a payout."""
    tenant, _, party, _, period, _, digest = payout_key.split(":")
    return f"payout_{tenant}_{party}_{period}_{digest}"


@pytest.mark.parametrize("other", ["aa_before", "zz_after"])
@pytest.mark.parametrize("state", ["confirmed", "failed"])
def test_a_second_instruction_beside_a_closes_own_is_a_duplicate_and_counts_once(books, other, state):
    key = books.statement("p1")
    own = books.instruct(key, name=canonical(key))
    books.instruct(key, name=other, cents=7)
    operation = books.operate(key, state=state)
    first, second = sorted([own, other])

    report = books.reconcile()

    assert found(report)["duplicateExpected"] == [
        {
            "operationId": operation.operation_id,
            "payoutKey": key,
            "primaryArtifactId": first,
            "duplicateArtifactId": second,
        }
    ]
    assert set(found(report)) == {"duplicateExpected"} | (
        {"terminalFailures"} if state == "failed" else set()
    ) | ({"amountMismatches"} if first == other else set())
    summary = report.core["summary"]
    assert (summary["expectedPayoutCount"], summary["operationCount"], summary["matchedCount"]) == (1, 1, 1)
    assert summary["operationStateCounts"][state] == 1
    assert summary["expectedPayoutAmountCents"] == (7 if first == other else 10_000)


def test_doubled_instructions_without_operation_are_missing_once(books):
    key = books.statement("p1")
    books.instruct(key, name=canonical(key))
    books.instruct(key, name="zz_after")

    report = books.reconcile()

    assert {group: len(rows) for group, rows in found(report).items()} == {
        "missingOperations": 1, "duplicateExpected": 1,
    }  # fmt: skip
    assert report.core["summary"]["expectedPayoutCount"] == 1


def test_doubled_instructions_of_a_superseded_statement_are_neither_expected_nor_doubled(books):
    key = books.statement("p1", superseded_at=NOW)
    books.instruct(key, name=canonical(key))
    books.instruct(key, name="zz_after")

    report = books.reconcile()

    assert (report.status, report.core["summary"]["expectedPayoutCount"]) == ("pass", 0)


def test_an_operation_without_instruction_is_in_no_count_of_matched_ones(books):
    books.pay("p1")
    books.operate(books.statement("p2"), state="confirmed")
    books.operate(books.statement("p3"), state="initiated")

    summary = books.reconcile().core["summary"]
    assert (summary["operationCount"], summary["matchedCount"]) == (3, 1)
    assert (summary["settledCount"], summary["inFlightCount"]) == (1, 0)
    assert summary["operationStateCounts"]["confirmed"] == 2


def test_a1_a_movement_of_an_operation_without_instruction_or_statement_is_unreferenced(books):
    key = f"{TENANT}:party:nobody:period:{PERIOD}:statement:{'0' * 64}"
    operation = books.operate(key)

    assert set(found(books.reconcile())) == {"unexpectedOperations", "unreferencedMovements"}
    books.statement("other")
    assert operation.operation_id in str(found(books.reconcile())["unreferencedMovements"])
