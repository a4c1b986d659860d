"""money-rails 2.6 and 5: stored reports are immutable, cases live across runs."""

import datetime as dt
import json

from reconciliation.models import Mismatch, ReconcileReport
from reconciliation.queries import mismatches
from reconciliation.services import filing
from settld.artifacts.models import Artifact
from settld.core.hashing import artifact_hash, canonical_hash
from tests.reconciliation.books import NOW, PERIOD, TENANT

HOUR = dt.timedelta(hours=1)


def test_a_run_that_does_not_persist_writes_nothing(books):
    books.instruct(books.statement("p1"))

    assert books.reconcile().artifact is None
    assert not Mismatch.objects.exists()
    assert not ReconcileReport.objects.exists()


def test_equal_results_share_the_first_artifact(books):
    books.pay("p1")

    first = books.reconcile(persist=True)
    second = books.reconcile(persist=True, now=NOW + HOUR)

    assert first.artifact == second.artifact
    stored = Artifact.objects.get(artifact_type="MoneyRailReconcileReport.v1")
    assert stored.artifact_id == f"money_rail_reconcile_{PERIOD}_stub_default_{first.report_hash[:24]}"
    document = json.loads(stored.body)
    assert document["artifactHash"] == artifact_hash(document) == first.artifact.artifact_hash
    assert canonical_hash(document["report"]) == document["reportHash"] == first.report_hash
    assert document["generatedAt"] == "2026-03-05T12:00:00.000Z"
    report = ReconcileReport.objects.get()
    assert (report.created_at, report.last_run_at) == (NOW, NOW + HOUR)


def test_a_case_keeps_its_first_sighting_and_is_cleared_when_it_is_gone(books):
    key = books.statement("p1")
    books.instruct(key)
    books.reconcile(persist=True)
    books.reconcile(persist=True, now=NOW + HOUR)
    case = Mismatch.objects.get()
    assert (case.first_seen_at, case.last_seen_at, case.cleared_at) == (NOW, NOW + HOUR, None)
    assert (case.mismatch_type, case.severity) == ("missing_operation", "critical")

    books.operate(key)
    books.reconcile(persist=True, now=NOW + 2 * HOUR)

    case.refresh_from_db()
    assert (case.cleared_at, case.last_seen_at) == (NOW + 2 * HOUR, NOW + HOUR)
    assert mismatches.open_count(tenant_id=TENANT) == 0


def test_a_case_that_returns_is_open_again_with_its_first_sighting(books):
    operation = books.pay("p1", state="initiated")
    books.dispatch(operation, since=NOW - HOUR)
    attempt = operation.attempts.get()
    books.reconcile(persist=True)
    operation.attempts.update(status="retryable")
    books.reconcile(persist=True, now=NOW + HOUR)
    assert mismatches.open_count(tenant_id=TENANT) == 0

    operation.attempts.filter(pk=attempt.pk).update(status="in_doubt")
    books.reconcile(persist=True, now=NOW + 2 * HOUR)

    case = Mismatch.objects.get()
    assert (case.first_seen_at, case.last_seen_at, case.is_open) == (NOW, NOW + 2 * HOUR, True)


def test_a_run_clears_only_the_cases_of_its_own_period_and_provider(books):
    books.instruct(books.statement("p1", period="2026-01"))
    books.reconcile(period="2026-01", persist=True)

    books.reconcile(period=PERIOD, persist=True, now=NOW + HOUR)

    assert Mismatch.objects.get().cleared_at is None


def test_two_rows_of_one_identity_are_one_case(books):
    operation = books.pay("p1")
    books.instruct(operation.payout_key, name="zz_second")
    books.instruct(operation.payout_key, name="zz_third")

    report = books.reconcile(persist=True)

    assert len(report.queue) == 2
    assert Mismatch.objects.get().details["duplicateArtifactId"] == "zz_second"


def test_a_filed_fact_is_a_case_outside_every_report_and_no_run_clears_it(books):
    fact = {
        "tenant_id": TENANT, "period": PERIOD, "provider_id": "stub_default", "severity": "critical",
        "mismatch_type": "unmatched_transfer", "mismatch_key": "tr_1", "mismatch_code": "X",
    }  # fmt: skip
    before = books.reconcile().report_hash
    filing.note(**fact, details={"amountCents": 1}, now=NOW)
    filing.note(**fact, details={"amountCents": 2}, now=NOW + HOUR)

    after = books.reconcile(persist=True, now=NOW + 2 * HOUR)

    assert (after.report_hash, after.queue) == (before, [])
    case = Mismatch.objects.get()
    assert (case.source_type, case.details, case.is_open) == ("stripe_inbox", {"amountCents": 2}, True)
    assert (case.first_seen_at, case.last_seen_at) == (NOW, NOW + HOUR)
    assert mismatches.open_by_severity(tenant_id=TENANT) == {"critical": 1}


def test_pages_follow_one_another_without_gap_or_repeat(books, django_assert_num_queries):
    for number in range(7):
        books.instruct(books.statement(f"p{number}"))
    books.reconcile(persist=True)

    seen, after = [], None
    while True:
        with django_assert_num_queries(1):
            page = mismatches.page(tenant_id=TENANT, filters=mismatches.Filters(), after=after, limit=3)
        seen += [case.triage_key for case in page.rows]
        after = page.following
        if after is None:
            break

    assert len(seen) == len(set(seen)) == 7
