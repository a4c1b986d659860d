"""Many decisions as one: a frozen set, one reason, a result per row; resumable, and done once."""

import datetime as dt
import threading

import pytest
from django.db import connection

from reconciliation.models import Mismatch, Triage, TriageAction, TriageBatch, TriageBatchRow
from reconciliation.queries.case_queue import CaseFilter
from reconciliation.services import batch_freeze, batch_run
from reconciliation.services.acts import ReasonMissing, Said, UnknownAct
from reconciliation.services.batch_run import BatchNotFound, BatchStarted, PreviewExpired
from settld.audit.models import OpsAudit
from settld.core import failpoints, tenancy
from settld.outbox import services as outbox
from tests.reconciliation.cases import ADA, NOW, TENANT, acknowledged, file, file_many, queue_row

RESOLVE = Said("resolve", reason="checked against the bank")


@pytest.fixture
def scope(db):
    with tenancy.tenant_scope(TENANT):
        yield


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(batch_run, "CHUNK", 3)


def freeze(act="resolve", *, keys=None, **wanted):
    common = {"tenant_id": TENANT, "act": act, "principal_id": ADA.principal_id, "now": NOW}
    if keys is not None:
        return batch_freeze.freeze_selection(triage_keys=keys, **common)
    return batch_freeze.freeze_matching(wanted=CaseFilter(**wanted), filters=wanted, **common)


def start(batch, said=RESOLVE, *, actor=ADA, now=NOW):
    return batch_run.start(tenant_id=TENANT, batch_id=batch.pk, said=said, actor=actor, now=now)


def work(batch, most_rows=10_000):
    return batch_run.work(tenant_id=TENANT, batch_id=batch.pk, most_rows=most_rows, now=NOW)


def results(batch):
    rows = TriageBatchRow.objects.filter(batch=batch).order_by("position")
    return [row.result for row in rows]


def statuses():
    return dict(Mismatch.objects.values_list("mismatch_key", "triage_status"))


# --- The preview ----------------------------------------------------------------------------------
def test_a_preview_freezes_what_matches_now_and_changes_nothing(scope):
    file_many(4)
    batch = freeze()
    file(queue_row("later"))

    assert (batch.row_count, batch.status, batch.is_cut) == (4, "previewed", False)
    start(batch)
    assert work(batch) is True
    assert statuses() == {f"mop_{n:04d}": "resolved" for n in range(4)} | {"later": "open"}


def test_the_most_urgent_come_first_and_more_than_fit_are_cut(scope, monkeypatch):
    monkeypatch.setattr(batch_freeze, "MOST_ROWS", 2)
    file(queue_row("low", severity="low"), queue_row("critical", severity="critical"), queue_row("high"))
    batch = freeze()

    assert (batch.row_count, batch.is_cut) == (2, True)
    start(batch)
    work(batch)
    assert statuses() == {"critical": "resolved", "high": "resolved", "low": "open"}


def test_keys_of_another_tenant_are_not_there(scope):
    mine = file(queue_row("mine"))["mine"]
    theirs = file(queue_row("theirs", period="2026-09"), tenant="tenant_b")["theirs"]
    with pytest.raises(batch_freeze.NothingChosen):
        freeze(keys=[theirs.triage_key])
    assert freeze(keys=[mine.triage_key, theirs.triage_key]).row_count == 1
    with tenancy.tenant_scope("tenant_b"), pytest.raises(BatchNotFound):
        batch_run.start(tenant_id="tenant_b", batch_id=freeze_id(), said=RESOLVE, actor=ADA, now=NOW)


def freeze_id():
    with tenancy.tenant_scope(TENANT):
        return TriageBatch.objects.values_list("pk", flat=True).get()


def test_what_cannot_be_carried_out_is_refused_before_anything_is_written(scope):
    file_many(1)
    with pytest.raises(UnknownAct):
        freeze("delete")
    batch = freeze()
    with pytest.raises(ReasonMissing):
        start(batch, Said("resolve", reason="  "))
    with pytest.raises(BatchStarted, match="another act"):
        start(batch, Said("dismiss", reason="x"))
    with pytest.raises(PreviewExpired):
        start(batch, now=NOW + dt.timedelta(days=2))
    batch.refresh_from_db()
    assert (batch.status, Triage.objects.count()) == ("previewed", 0)


def test_an_abandoned_preview_is_forgotten_and_one_that_was_confirmed_stays(scope):
    file_many(2)
    abandoned, confirmed = freeze("note"), freeze()
    start(confirmed)
    work(confirmed)
    batch_freeze.forget_old(tenant_id=TENANT, now=NOW + dt.timedelta(days=2))

    assert not TriageBatch.objects.filter(pk=abandoned.pk).exists()
    assert results(confirmed) == ["done", "done"]


# --- Carrying out ---------------------------------------------------------------------------------
def test_a_row_that_changed_after_the_preview_is_refused_alone(scope):
    cases = file_many(4)
    batch = freeze()
    acknowledged(cases["mop_0000"])
    file(queue_row("mop_0001", actual=7))
    start(batch)
    work(batch)

    by_key = {row.triage_key: row for row in TriageBatchRow.objects.filter(batch=batch)}
    decided, differs = by_key[cases["mop_0000"].triage_key], by_key[cases["mop_0001"].triage_key]
    assert (decided.result, decided.revision) == ("refused", 1)
    assert "meanwhile" in decided.why
    assert (differs.result, differs.why) == ("refused", "Its figures have changed since the preview.")
    assert sorted(results(batch)) == ["done", "done", "refused", "refused"]
    assert statuses()["mop_0000"] == "acknowledged"


def test_each_row_is_decided_as_one_would_be_with_the_reason_the_hash_and_an_audit(scope):
    case = file_many(1)["mop_0000"]
    batch = freeze()
    start(batch)
    work(batch)

    triage = Triage.objects.get()
    assert (triage.status, triage.notes) == ("resolved", "checked against the bank")
    assert (triage.mismatch_hash, triage.metadata["seenDetails"]) == (case.mismatch_hash, case.details)
    assert triage.resolved_by_principal_id == "person:ada"
    action = TriageAction.objects.get()
    assert (action.action, action.actor_principal_id) == (f"triage_matching:{batch.pk}", "person:ada")
    audit = list(OpsAudit.objects.order_by("seq").values_list("action", flat=True))
    assert audit == [
        "FINANCE_RECONCILIATION_TRIAGE_BATCH_START",
        "FINANCE_RECONCILIATION_TRIAGE_UPSERT",
        "FINANCE_RECONCILIATION_TRIAGE_BATCH_DONE",
    ]
    done = OpsAudit.objects.get(action="FINANCE_RECONCILIATION_TRIAGE_BATCH_DONE")
    assert (done.details["results"], done.request_id) == ({"done": 1}, "req_ada")


def test_confirming_twice_does_nothing_twice_and_something_else_is_refused(scope):
    file_many(2)
    batch = freeze()
    assert start(batch) is True
    work(batch)
    assert start(batch) is False
    assert work(batch) is True
    with pytest.raises(BatchStarted):
        start(batch, Said("resolve", reason="another reason"))
    assert TriageAction.objects.count() == 2


def test_rows_that_are_so_already_are_unchanged(scope):
    file_many(2)
    first = freeze("assign")
    said = Said("assign", owner="person:ada")
    start(first, said)
    work(first)
    second = freeze("assign")
    start(second, said)
    work(second)
    assert (results(first), results(second)) == (["done"] * 2, ["unchanged"] * 2)


def test_queries_do_not_grow_with_the_rows_of_a_chunk_but_for_the_audit(scope):
    from django.test.utils import CaptureQueriesContext

    def cost(count, prefix):
        cases = file_many(count, prefix=prefix)
        batch = freeze("note", keys=[case.triage_key for case in cases.values()])
        start(batch, Said("note", reason="x"))
        with CaptureQueriesContext(connection) as captured:
            work(batch)
        texts = [query["sql"] for query in captured.captured_queries]
        return sum("audit" not in text and "set_config" not in text for text in texts)

    assert cost(2, "few_") == cost(40, "many_")


# --- Stopped in the middle ------------------------------------------------------------------------
class Crash(BaseException):
    """What no code of ours catches."""


def crash_at(name, nth):
    passed = []

    def visit(point):
        passed.append(point)
        if point == name and passed.count(name) == nth:
            raise Crash

    return failpoints.watched(visit)


@pytest.mark.parametrize(
    ("point", "nth", "done"),
    [
        ("triage_batch.before_commit", 2, 3),
        ("triage_batch.after_commit", 2, 6),
        ("triage.before_commit", 1, 0),
    ],
)
def test_a_crash_keeps_whole_chunks_and_the_job_finishes_the_rest_once(
    live_db, small_chunks, point, nth, done
):
    with tenancy.tenant_scope(TENANT):
        file_many(8)
        batch = freeze()
        start(batch)
        with pytest.raises(Crash), crash_at(point, nth):
            work(batch)
        assert results(batch).count("done") == done
        assert TriageAction.objects.count() == done

    later = NOW + dt.timedelta(days=1)
    assert outbox.drain(kinds=(batch_run.KIND,), tenant_id=TENANT, now=later) == 1
    with tenancy.tenant_scope(TENANT):
        batch.refresh_from_db()
        assert (batch.status, results(batch)) == ("done", ["done"] * 8)
        assert TriageAction.objects.count() == 8
    assert outbox.drain(kinds=(batch_run.KIND,), tenant_id=TENANT, now=later) == 0


def test_a_crash_before_the_confirmation_commits_leaves_the_preview(live_db):
    with tenancy.tenant_scope(TENANT):
        file_many(1)
        batch = freeze()
        with pytest.raises(Crash), crash_at("triage_batch_start.before_commit", 1):
            start(batch)
        batch.refresh_from_db()
        assert batch.status == "previewed"
        assert start(batch) is True


def test_a_part_can_be_worked_now_and_the_rest_later(scope, small_chunks):
    file_many(7)
    batch = freeze()
    start(batch)
    assert work(batch, most_rows=3) is False
    assert results(batch).count("done") == 3
    assert work(batch) is True


# --- At once --------------------------------------------------------------------------------------
def test_two_batches_over_the_same_cases_decide_each_case_once(live_db, small_chunks):
    with tenancy.tenant_scope(TENANT):
        file_many(12)
        batches = [freeze("resolve"), freeze("dismiss")]
        start(batches[0])
        start(batches[1], Said("dismiss", reason="noise"))
    _together([lambda batch=batch: work(batch) for batch in batches])

    with tenancy.tenant_scope(TENANT):
        first, second = (results(batch) for batch in batches)
        assert sorted([*first, *second]) == ["done"] * 12 + ["refused"] * 12
        assert TriageAction.objects.count() == 12


def test_two_workers_on_one_batch_do_each_row_once(live_db, small_chunks):
    with tenancy.tenant_scope(TENANT):
        file_many(12)
        batch = freeze()
        start(batch)
    _together([lambda: work(batch), lambda: work(batch)])

    with tenancy.tenant_scope(TENANT):
        assert (results(batch), TriageAction.objects.count()) == (["done"] * 12, 12)


def _together(works):
    faults = []

    def run(one):
        try:
            with tenancy.tenant_scope(TENANT):
                one()
        except Exception as error:
            faults.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(one,)) for one in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert faults == []
