"""The triage overlay: settld-billing-and-finance 6.2, money-rails 2.6, A9."""

import datetime as dt
import threading

import pytest
from django.db import connection, transaction

from reconciliation.models import Mismatch, Triage, TriageAction
from reconciliation.services import filing, keeping, triage
from reconciliation.services.rows import Kind, QueueRow, triage_key
from reconciliation.services.triage import Change, Decided, Subject, TriageRevisionConflict, Wanted
from settld.audit.models import OpsAudit
from settld.core import tenancy, transactions
from settld.core.principals import Actor
from tests.reconciliation.books import PERIOD, TENANT
from tests.support.api import body, refusal

NOW = dt.datetime(2026, 11, 3, 9, tzinfo=dt.UTC)
ADA, BOB = Actor("person:ada"), Actor("person:bob")
PATH = "/ops/finance/reconciliation/triage"
IDENTITY = {
    "sourceType": "money_rails_reconcile",
    "period": "2026-10",
    "providerId": "stub_default",
    "mismatchType": "amount_mismatch",
    "mismatchKey": "mop_1",
}
KEY = triage_key(
    source_type="money_rails_reconcile", period="2026-10", provider_id="stub_default",
    mismatch_type="amount_mismatch", mismatch_key="mop_1",
)  # fmt: skip


def queue_row(key="mop_1", *, actual=5):
    return QueueRow(
        "money_rails_reconcile", "2026-10", "stub_default",
        Kind("amount_mismatch", "MONEY_RAIL_AMOUNT_MISMATCH", "high"), key,
        {"operationId": key, "expectedAmountCents": 4, "actualAmountCents": actual},
    )  # fmt: skip


def found(*rows, report="a" * 64, tenant="tenant_a"):
    with tenancy.tenant_scope(tenant):
        keeping.record(tenant_id=tenant, queue=list(rows), report_hash=report, now=NOW)
        return {row.triage_key: row for row in Mismatch.objects.all()}


def post(api, **members):
    return api.post(PATH, members)


def decided(api, **members):
    answer = post(api, **(IDENTITY | members))
    assert answer.status_code == 200, answer.content
    return body(answer)["triage"]


@pytest.fixture
def scope(db):
    with tenancy.tenant_scope("tenant_a"):
        yield


def subject(key="mop_1"):
    return Subject("money_rails_reconcile", "2026-10", "stub_default", "amount_mismatch", key)


def decide(change, *, key="mop_1", expected=None, actor=ADA, now=NOW):
    with transactions.atomic():
        return triage.decide(
            tenant_id="tenant_a", subject=subject(key), change=change, expected_revision=expected,
            actor=actor, now=now,
        )  # fmt: skip


# --- The wire -------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_the_first_decision_has_revision_one_history_and_audit(api):
    document = decided(api, status="acknowledged", ownerPrincipalId="person:ada", notes="looking")

    assert document["triageKey"] == KEY
    assert (document["revision"], document["status"], document["notes"]) == (1, "acknowledged", "looking")
    assert document["schemaVersion"] == "FinanceReconciliationTriage.v1"
    assert (document["resolvedAt"], document["severity"], document["metadata"]) == (None, None, None)
    entry = document["actionLog"][0]
    assert (entry["action"], entry["prevStatus"], entry["nextStatus"]) == (
        "triage_update", None, "acknowledged",
    )  # fmt: skip
    with tenancy.tenant_scope("tenant_a"):
        audit = OpsAudit.objects.get(action="FINANCE_RECONCILIATION_TRIAGE_UPSERT")
    assert (audit.target_id, audit.details["nextStatus"]) == (KEY, "acknowledged")


@pytest.mark.django_db
def test_equal_content_changes_nothing_and_writes_nothing(api):
    first = decided(api, status="open", notes="x", metadata={"ticket": 7}, mismatchHash="b" * 64)
    again = body(post(api, **IDENTITY, notes="x", metadata={"ticket": 7}, mismatchHash="b" * 64))
    assert (again["changed"], again["triage"]) == (False, first)
    for member in ({"metadata": {"ticket": 8}}, {"mismatchHash": "c" * 64}):
        assert body(post(api, **IDENTITY, **member))["changed"] is True


@pytest.mark.django_db
def test_absent_members_keep_and_null_or_empty_clears(api):
    full = {"ownerPrincipalId": "o", "notes": "n", "severity": "low", "sourceReportHash": "a" * 64}
    decided(api, **full, metadata={"a": 1})
    kept = decided(api, status="in_progress")
    assert {name: kept[name] for name in full} == full
    cleared = decided(api, ownerPrincipalId="", notes=None, severity=None, sourceReportHash="", metadata=None)
    assert [cleared[name] for name in (*full, "metadata")] == [None] * 5
    assert cleared["status"] == "in_progress"


@pytest.mark.django_db
def test_closing_stamps_editing_keeps_reopening_clears_and_changing_the_way_restamps(api):
    resolved = decided(api, status="resolved")
    assert resolved["resolvedAt"]
    assert resolved["resolvedByPrincipalId"].startswith("ops_token:")
    edited = decided(api, notes="seen by finance")
    assert edited["resolvedAt"] == resolved["resolvedAt"]
    dismissed = decided(api, status="dismissed")
    assert dismissed["resolvedAt"] >= resolved["resolvedAt"]
    assert (decided(api, status="open")["resolvedAt"], dismissed["revision"]) == (None, 3)


@pytest.mark.django_db
def test_the_expected_revision_guards_and_zero_means_none_yet(api):
    assert refusal(post(api, **IDENTITY, expectedRevision=1)) == (409, "TRIAGE_REVISION_CONFLICT")
    assert post(api, **IDENTITY, expectedRevision=0, status="open").status_code == 200
    answer = post(api, **IDENTITY, expectedRevision=0, status="resolved")
    assert refusal(answer) == (409, "TRIAGE_REVISION_CONFLICT")
    assert body(answer)["details"] == {"expectedRevision": 0, "currentRevision": 1}


@pytest.mark.django_db
def test_a_key_alone_changes_what_stands_and_an_unknown_one_is_404(api):
    found(queue_row())
    assert refusal(post(api, triageKey=KEY, status="resolved")) == (404, "NOT_FOUND")
    decided(api)
    assert body(post(api, triageKey=KEY, status="resolved"))["triage"]["status"] == "resolved"
    assert refusal(api.as_tenant("tenant_b").post(PATH, {"triageKey": KEY})) == (404, "NOT_FOUND")


@pytest.mark.django_db
def test_a_key_that_is_not_the_identitys_is_refused(api):
    wrong = "frt_202610_" + "0" * 24
    assert refusal(post(api, **IDENTITY, triageKey=wrong)) == (400, "TRIAGE_KEY_MISMATCH")
    assert post(api, **IDENTITY, triageKey=KEY).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fault",
    [
        {"sourceType": "x"}, {"status": "done"}, {"severity": "urgent"}, {"period": "2026-13"},
        {"notes": "n" * 10_001}, {"ownerPrincipalId": "o" * 201}, {"metadata": [1]},
        {"metadata": {"a": "x" * 17_000}}, {"expectedRevision": -1}, {"mismatchHash": "xyz"},
        {"mismatchKey": ""}, {"mismatchType": None}, {"month": "2026-09"}, {"notes": 5},
    ],
)  # fmt: skip
def test_a_body_at_fault_is_400_and_nothing_is_kept(api, fault):
    assert refusal(post(api, **(IDENTITY | fault))) == (400, "SCHEMA_INVALID")
    with tenancy.tenant_scope("tenant_a"):
        assert not Triage.objects.exists()


@pytest.mark.django_db
def test_a_nul_in_a_note_is_refused_not_a_500(api):
    assert post(api, **IDENTITY, notes="a\x00b").status_code == 400


@pytest.mark.django_db
def test_a_repeat_under_one_key_is_replayed(api):
    headers = {"x-idempotency-key": "once"}
    first = api.post(PATH, IDENTITY | {"status": "resolved"}, headers=headers)
    decided(api, status="open")
    again = api.post(PATH, IDENTITY | {"status": "resolved"}, headers=headers)
    assert (again.content, again["x-idempotent-replay"]) == (first.content, "true")
    assert b"x-idempotency" not in again.content


@pytest.mark.django_db
def test_the_list_filters_counts_all_matches_and_pages(api):
    for n in range(3):
        decided(api, mismatchKey=f"mop_{n}", status="resolved" if n else "open")
    decided(api, period="2026-09")
    answer = body(api.get(f"{PATH}?month=2026-10&limit=2"))
    assert (answer["count"], answer["total"], answer["statusCounts"]["resolved"]) == (2, 3, 2)
    newest = [row["mismatchKey"] for row in answer["triages"]]
    assert set(newest) < {"mop_0", "mop_1", "mop_2"}
    assert body(api.get(f"{PATH}?status=open&period=2026-10"))["total"] == 1
    assert refusal(api.get(f"{PATH}?status=nope")) == (400, "SCHEMA_INVALID")
    assert body(api.as_tenant("tenant_b").get(PATH))["total"] == 0


@pytest.mark.django_db
def test_the_list_costs_the_same_for_one_row_and_for_many(api, django_assert_max_num_queries):
    for n in range(12):
        decided(api, mismatchKey=f"mop_{n}")
    for limit in (1, 12):
        with django_assert_max_num_queries(8):
            api.get(f"{PATH}?limit={limit}")


@pytest.mark.django_db
def test_the_log_shows_the_newest_fifty_changes(scope):
    for n in range(55):
        decide(Change(notes=str(n)))
    from reconciliation.queries import triage as queries

    log = queries.history(tenant_id="tenant_a", triage_keys=[KEY])[KEY]
    assert (len(log), log[0].notes, log[-1].notes) == (50, "54", "5")


# --- The queue ------------------------------------------------------------------------------------
def test_a_decision_is_repeated_on_the_case_and_closes_it(scope):
    row = found(queue_row())[KEY]
    decide(
        Change(status="resolved", severity="low", owner_principal_id="ada", mismatch_hash=row.mismatch_hash)
    )

    case = Mismatch.objects.get()
    assert (case.triage_status, case.triage_owner, case.triage_revision) == ("resolved", "ada", 1)
    assert (case.shown_severity, case.severity_rank, case.is_open) == ("low", 3, False)
    assert not Mismatch.objects.filter(triage_mismatch_hash="").exists()


def test_a_decided_case_that_changes_is_drifted_and_open_again(scope):
    row = found(queue_row())[KEY]
    decide(Change(status="resolved", mismatch_hash=row.mismatch_hash))
    case = found(queue_row(actual=6))[KEY]

    assert (case.is_drifted, case.is_open) == (True, True)
    from reconciliation.queries import mismatches

    assert mismatches.open_count(tenant_id="tenant_a") == 1
    found(queue_row())
    assert mismatches.open_count(tenant_id="tenant_a") == 0


def test_a_decision_made_before_the_case_was_found_meets_it(scope):
    decide(Change(status="dismissed", owner_principal_id="bob"))
    case = found(queue_row(), queue_row("mop_2"))[KEY]
    assert (case.triage_status, case.triage_owner, case.is_open) == ("dismissed", "bob", False)


def test_deciding_leaves_report_rows_and_hash_alone_and_shows_beside_them_a9(api, books):
    books.instruct(books.statement("p1"))
    path = f"/ops/finance/money-rails/reconcile?period={PERIOD}&persist=1"
    caller = api.as_tenant(TENANT)
    before = body(caller.get(path))
    row = before["triageQueue"][0]
    assert (row["triage"], before["triageSummary"]["unresolved"]) == (None, 1)
    members = {name: row[name] for name in IDENTITY}
    caller.post(
        PATH, members | {"status": "resolved", "notes": "paid by hand", "mismatchHash": row["mismatchHash"]}
    )

    after = body(caller.get(path))

    assert {name: after[name] for name in ("status", "reportHash", "mismatches", "summary", "artifact")} == {
        name: before[name] for name in ("status", "reportHash", "mismatches", "summary", "artifact")
    }
    overlay = after["triageQueue"][0]["triage"]
    assert (overlay["status"], overlay["notes"], overlay["drifted"]) == ("resolved", "paid by hand", False)
    assert (after["triageSummary"]["resolved"], after["triageSummary"]["unresolved"]) == (1, 0)


# --- Many at once ---------------------------------------------------------------------------------
def test_of_many_the_stale_one_is_refused_alone(scope):
    found(queue_row("mop_1"), queue_row("mop_2"), queue_row("mop_3"))
    decide(Change(status="acknowledged"), key="mop_2", actor=BOB)
    with transactions.atomic():
        outcomes = triage.decide_many(
            tenant_id="tenant_a",
            wanted=[Wanted(subject(f"mop_{n}"), Change(status="resolved"), 0) for n in (1, 2, 3)],
            actor=ADA,
            now=NOW,
        )
    assert [type(outcome) for outcome in outcomes] == [Decided, TriageRevisionConflict, Decided]
    assert dict(Mismatch.objects.values_list("mismatch_key", "triage_status")) == {
        "mop_1": "resolved", "mop_2": "acknowledged", "mop_3": "resolved",
    }  # fmt: skip
    assert TriageAction.objects.count() == 3


# --- The database ---------------------------------------------------------------------------------
def test_history_is_append_only_and_a_closed_decision_has_its_stamp(scope):
    decide(Change(status="resolved"))
    for statement in (
        "UPDATE reconciliation_triage_action SET notes = 'x'",
        "DELETE FROM reconciliation_triage_action",
        "UPDATE reconciliation_triage SET resolved_at = NULL",
        "UPDATE reconciliation_triage SET status = 'closed'",
        "DELETE FROM reconciliation_triage",
    ):
        with pytest.raises(Exception, match=r"permission denied|violates|append"), transaction.atomic():
            connection.cursor().execute(statement)


def test_two_first_decisions_at_once_follow_one_another(live_db):
    """The advisory lock holds the second until the first has committed: no lost update, no 500."""
    entered, release, ends = threading.Event(), threading.Event(), []

    def first():
        with tenancy.tenant_scope("tenant_a"), transactions.atomic():
            triage.decide(
                tenant_id="tenant_a", subject=subject(), change=Change(notes="first"),
                expected_revision=0, actor=ADA, now=NOW,
            )  # fmt: skip
            entered.set()
            release.wait(10)
        connection.close()

    def second():
        entered.wait(10)
        try:
            with tenancy.tenant_scope("tenant_a"), transactions.atomic():
                triage.decide(
                    tenant_id="tenant_a", subject=subject(), change=Change(notes="second"),
                    expected_revision=0, actor=BOB, now=NOW,
                )  # fmt: skip
        except TriageRevisionConflict as conflict:
            ends.append(conflict.details)
        connection.close()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    entered.wait(10)
    release.set()
    for thread in threads:
        thread.join(20)
    assert ends == [{"expectedRevision": 0, "currentRevision": 1}]


def test_a_decision_beside_a_filing_is_never_missed_on_the_case(live_db):
    """A fact is filed while its decision is being made: whoever comes second writes the decision down."""
    ready, release = threading.Event(), threading.Event()
    key = {"source_type": "stripe_inbox", "period": "", "provider_id": "stripe_sim",
           "mismatch_type": "unmatched_provider_transfer", "mismatch_key": "tr_1"}  # fmt: skip

    def decides():
        with tenancy.tenant_scope("tenant_a"), transactions.atomic():
            triage.decide(
                tenant_id="tenant_a", subject=Subject(**key), change=Change(status="dismissed"),
                expected_revision=None, actor=ADA, now=NOW,
            )  # fmt: skip
            ready.set()
            release.wait(10)
        connection.close()

    def files():
        ready.wait(10)
        with tenancy.tenant_scope("tenant_a"), transactions.atomic():
            filing.note(
                tenant_id="tenant_a", period="", provider_id="stripe_sim",
                mismatch_type="unmatched_provider_transfer", mismatch_key="tr_1",
                mismatch_code="MONEY_RAIL_UNMATCHED_PROVIDER_TRANSFER", severity="critical",
                details={"transferId": "tr_1"}, now=NOW,
            )  # fmt: skip
        connection.close()

    threads = [threading.Thread(target=decides), threading.Thread(target=files)]
    for thread in threads:
        thread.start()
    ready.wait(10)
    release.set()
    for thread in threads:
        thread.join(20)
    with tenancy.tenant_scope("tenant_a"):
        assert Mismatch.objects.get().triage_status == "dismissed"
