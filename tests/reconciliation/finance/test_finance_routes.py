"""finance 6.1-6.3: GET /ops/finance/reconcile, its cases in triage, and the run by hand."""

import pytest

from reconciliation.models import ReconcileReport
from reconciliation.services import finance_scheduler
from settld.audit.models import OpsAudit
from settld.core import tenancy
from settld.core.locks import session_advisory
from settld.maintenance.models import MaintenanceState
from tests.reconciliation.finance.month import PERIOD, TENANT, batch_id, reconcile, rewrite
from tests.support.api import OPS_TOKEN, SCOPES, Api, body, refusal

PATH, RUN = "/ops/finance/reconcile", "/ops/maintenance/finance-reconcile/run"
TRIAGE = "/ops/finance/reconciliation/triage"


@pytest.fixture
def caller(settings):
    settings.OPS_TOKENS = {
        OPS_TOKEN: SCOPES,
        "tok_reads": frozenset({"finance_read"}),
        "tok_ops": frozenset({"ops_write"}),
        "tok_status": frozenset({"ops_read"}),
    }
    return Api(TENANT)


def audits():
    rows = OpsAudit.objects.filter(tenant_id=TENANT, action=finance_scheduler.ACTION).order_by("id")
    return [row.details for row in rows]


class TestReconcile:
    def test_a_passing_month_has_exactly_the_members_of_the_spec(self, closed, caller):
        answer = body(caller.with_token("tok_reads").get(f"{PATH}?month={PERIOD}"))

        assert set(answer) == {
            "ok", "tenantId", "period", "reportHash", "reconcile", "inputs", "artifact", "triageQueue",
            "triageSummary",
        }  # fmt: skip
        assert set(answer["reconcile"]) == {"ok", "period", "basis", "totalsKeys", "entryCount"}
        assert (answer["ok"], answer["artifact"], answer["triageQueue"]) == (True, None, [])
        assert answer["triageSummary"]["total"] == 0

    def test_persist_needs_write_and_names_what_it_stored(self, closed, caller):
        reads = caller.with_token("tok_reads").get(f"{PATH}?period={PERIOD}&persist=1")
        assert refusal(reads) == (403, "FORBIDDEN")
        assert not ReconcileReport.objects.exists()

        answer = body(caller.get(f"{PATH}?period={PERIOD}&persist=yes"))
        assert answer["artifact"]["artifactId"].startswith(f"reconcile_{PERIOD}_")
        assert answer["artifact"]["deliveriesCreated"] == 0
        stored = body(caller.get(f"/artifacts/{answer['artifact']['artifactId']}"))["artifact"]
        assert stored["reportHash"] == answer["reportHash"]

    @pytest.mark.parametrize(
        ("query", "status", "error"),
        [
            ("", 400, "period is required"),
            ("?period=2026-13", 400, "invalid finance reconciliation query"),
            (f"?period={PERIOD}&month=2026-01", 400, "invalid finance reconciliation query"),
            (f"?period={PERIOD}&persist=maybe", 400, "invalid finance reconciliation query"),
            ("?period=2025-01", 404, "GL batch not found"),
        ],
    )
    def test_faults_are_told_by_the_spec_s_words(self, closed, caller, query, status, error):
        answer = caller.get(PATH + query)
        assert (answer.status_code, body(answer)["error"]) == (status, error)

    def test_it_needs_a_finance_scope(self, closed, caller):
        assert refusal(caller.with_token("tok_status").get(f"{PATH}?period={PERIOD}")) == (403, "FORBIDDEN")


class TestTriage:
    def test_a_finance_row_is_decided_over_the_api_and_drifts_when_it_changes(self, live_closed, caller):
        rewrite(batch_id(), lambda content: content.update(schemaVersion="x"), resealed=True)
        failed = body(caller.get(f"{PATH}?period={PERIOD}&persist=1"))
        assert failed["ok"]
        assert not failed["reconcile"]["ok"]
        [row] = failed["triageQueue"]
        assert (row["sourceType"], row["providerId"], row["triage"]) == ("finance_reconcile", None, None)
        assert row["title"] == f"gl_batch:{batch_id()}"

        identity = {name: row[name] for name in ("sourceType", "period", "mismatchType", "mismatchKey")}
        decided = caller.post(
            TRIAGE,
            identity | {
                "triageKey": row["triageKey"], "status": "resolved", "notes": "a known import",
                "mismatchHash": row["mismatchHash"], "sourceReportHash": failed["reportHash"],
                "expectedRevision": 0,
            },
        )  # fmt: skip
        assert decided.status_code == 200, decided.content
        assert body(decided)["triage"]["providerId"] is None

        again = body(caller.get(f"{PATH}?period={PERIOD}"))
        assert again["triageSummary"] == {
            "total": 1, "unresolved": 0, "resolved": 1,
            "byStatus": {"open": 0, "acknowledged": 0, "in_progress": 0, "resolved": 1, "dismissed": 0},
        }  # fmt: skip
        assert again["reportHash"] == failed["reportHash"]  # a decision is no part of the report

        rewrite(batch_id(), lambda content: content.update(schemaVersion="y"), resealed=True)
        changed = body(caller.get(f"{PATH}?period={PERIOD}&persist=1"))
        assert changed["triageQueue"][0]["triage"]["drifted"] is True
        assert changed["triageSummary"]["unresolved"] == 1
        listed = body(caller.get(f"{TRIAGE}?sourceType=finance_reconcile&period={PERIOD}"))
        assert [one["drifted"] for one in listed["triages"]] == [True]


class TestRun:
    def test_it_reconciles_the_caller_s_newest_months_and_audits_once(self, closed, caller):
        answer = body(caller.with_token("tok_ops").post(RUN))

        assert set(answer) == {"ok", "period", "runtimeMs", "summary", "results"}
        assert answer["summary"] == {
            "tenantCount": 1, "attemptedPeriods": 1, "reconciledPeriods": 1, "passCount": 1, "failCount": 0,
            "skippedNoInputs": 0, "erroredPeriods": 0, "artifactsPersisted": 1, "deliveriesCreated": 0,
        }  # fmt: skip
        [row] = answer["results"]
        assert (row["status"], row["period"], row["reason"], row["code"], row["error"]) == (
            "pass", PERIOD, None, None, None,
        )  # fmt: skip
        [audit] = audits()
        assert audit == {
            "path": RUN, "outcome": "ok", "scope": "tenant", "period": None, "force": True, "maxTenants": 50,
            "maxPeriodsPerTenant": 2, "runtimeMs": audit["runtimeMs"], "summary": answer["summary"],
            "code": None,
        }  # fmt: skip
        status = body(caller.get("/ops/status"))["maintenance"]["financeReconciliation"]
        assert (status["enabled"], status["outcome"]) == (True, "ok")
        assert status["lastResult"]["results"] == answer["results"]

    def test_a_month_that_is_not_there_is_skipped_with_its_text(self, closed, caller):
        answer = body(caller.post(RUN, {"month": "2025-01"}))
        assert (answer["ok"], answer["period"]) == (True, "2025-01")
        assert [(row["status"], row["reason"]) for row in answer["results"]] == [
            ("skipped", "GL batch not found")
        ]

    def test_a_mismatch_is_fail_and_no_error(self, live_closed, caller):
        rewrite(batch_id(), lambda content: content.update(schemaVersion="x"), resealed=True)
        answer = body(caller.post(RUN))
        assert (answer["ok"], answer["results"][0]["status"]) == (True, "fail")

    @pytest.mark.parametrize(
        ("sent", "error"),
        [
            ({"maxTenants": 0}, "invalid maxTenants"),
            ({"maxPeriodsPerTenant": 1.5}, "invalid maxPeriodsPerTenant"),
            ({"maxPeriods": "x"}, "invalid maxPeriodsPerTenant"),
            ({"period": "2026-13"}, "invalid period"),
            ({"force": "true"}, "force must be a boolean"),
        ],
    )
    def test_a_faulty_body_is_refused_and_not_audited(self, closed, caller, sent, error):
        answer = caller.post(RUN, sent)
        assert (answer.status_code, body(answer)["error"]) == (400, error)
        assert audits() == []

    def test_readers_may_not(self, closed, caller):
        assert refusal(caller.with_token("tok_reads").post(RUN)) == (403, "FORBIDDEN")

    def test_a_second_run_at_once_is_409_audited_and_moves_no_clock(self, closed, caller):
        with session_advisory("settld:maintenance:finance_reconcile:v1") as is_ours:
            assert is_ours
            answer = caller.post(RUN)
        assert refusal(answer) == (409, "MAINTENANCE_ALREADY_RUNNING")
        assert [audit["outcome"] for audit in audits()] == ["already_running"]
        with tenancy.tenant_scope(TENANT):
            assert not MaintenanceState.objects.filter(kind="finance_reconcile").exists()

    def test_a_disabled_scheduler_says_so(self, closed, caller, settings):
        settings.FINANCE_RECONCILE = {**settings.FINANCE_RECONCILE, "enabled": False}
        answer = body(caller.post(RUN))
        assert (answer["skipped"], answer["reason"]) == (True, "disabled")


def test_a_failed_month_counts_in_the_daily_mismatch_alert(live_closed, caller):
    rewrite(batch_id(), lambda content: content.update(schemaVersion="x"), resealed=True)
    reconcile(persist=True)
    [alert] = OpsAudit.objects.filter(tenant_id=TENANT, action="MONEY_RAIL_MISMATCH_ALERT")
    assert alert.details["count"] == 1
