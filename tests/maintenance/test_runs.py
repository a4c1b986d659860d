"""Exclusive runs and retention: spec/platform-operations.md 7.2 and 7.3."""

import datetime as dt

import pytest

from settld.core import clock, locks, tenancy
from settld.core.principals import Actor
from settld.idempotency.models import IdempotencyRecord
from settld.maintenance.models import MaintenanceRun, MaintenanceState
from settld.maintenance.services import (
    MaintenanceAlreadyRunning,
    MaintenanceRunFailed,
    Plan,
    retention,
    run_exclusively,
)
from settld.maintenance.states import GLOBAL
from tests.support.api import body, refusal

RUN = "/ops/maintenance/retention/run"


def plan(tenant_id="tenant_a", **changes):
    return Plan(
        kind="tests_kind", lock_key="settld:tests:lock", tenant_id=tenant_id,
        actor=Actor.system("maintenance_runner"),
        audit_action="MAINTENANCE_TESTS_RUN", audit_target="tests",
        audit_tenant_id=tenant_id or "tenant_default",
        inputs={"force": True}, **changes,
    )  # fmt: skip


def audits(api, action="MAINTENANCE_TESTS_RUN"):
    return [row["details"] for row in body(api.get(f"/ops/audit?action={action}"))["audit"]]


def only(model, tenant_id="tenant_a"):
    with tenancy.tenant_scope(tenant_id):
        return model.objects.get(tenant_id=tenant_id)


class TestExclusiveRuns:
    def test_a_run_leaves_history_state_and_one_audit_row(self, db, api):
        interval = dt.timedelta(minutes=5)
        finished = run_exclusively(plan(interval=interval), lambda: ({"passed": 1}, {"results": ["x"]}))
        run, state = only(MaintenanceRun), only(MaintenanceState)
        assert (run.outcome, run.summary, run.inputs, run.scope) == (
            "ok",
            {"passed": 1},
            {"force": True},
            "tenant",
        )
        assert (state.last_result, state.last_run_at, state.audit_id) == (
            {"results": ["x"]},
            run.started_at,
            run.audit_id,
        )
        assert state.next_eligible_at == finished.started_at + interval
        assert audits(api) == [
            {
                "origin": "maintenance_runner", "outcome": "ok", "scope": "tenant", "force": True,
                "runtimeMs": run.runtime_ms, "summary": {"passed": 1}, "code": None,
            }
        ]  # fmt: skip

    def test_a_run_that_breaks_says_so_everywhere(self, db, api):
        def broken():
            raise RuntimeError("x")

        with pytest.raises(MaintenanceRunFailed) as failed:
            run_exclusively(plan(), broken)
        assert (failed.value.status, failed.value.code) == (500, "MAINTENANCE_RUN_FAILED")
        run, state = only(MaintenanceRun), only(MaintenanceState)
        assert (run.outcome, run.code) == ("error", "MAINTENANCE_RUN_FAILED")
        assert (state.outcome, state.last_success_at) == ("error", None)
        assert [row["outcome"] for row in audits(api)] == ["error"]

    def test_a_second_run_is_refused_at_once_and_moves_no_clock(self, db, api):
        def rival():
            with pytest.raises(MaintenanceAlreadyRunning) as refused:
                run_exclusively(plan(), lambda: pytest.fail("ran beside another"))
            assert refused.value.status == 409
            with tenancy.tenant_scope("tenant_a"):
                assert MaintenanceState.objects.count() == 0
            return {}, {}

        run_exclusively(plan(), rival)
        assert sorted(row["outcome"] for row in audits(api)) == ["already_running", "ok"]

    def test_the_lock_is_free_after_a_run_that_broke(self, db):
        def broken():
            raise RuntimeError("x")

        for _ in range(2):
            with pytest.raises(MaintenanceRunFailed):
                run_exclusively(plan(), broken)

    def test_a_run_over_all_tenants_is_no_tenants_row(self, db, api):
        run_exclusively(plan(tenant_id=None), lambda: ({}, {}))
        assert only(MaintenanceRun, GLOBAL).scope == "global"
        assert only(MaintenanceState, GLOBAL).outcome == "ok"
        with tenancy.tenant_scope("tenant_default"):
            assert (MaintenanceRun.objects.count(), MaintenanceState.objects.count()) == (0, 0)
        assert len(audits(api.as_tenant("tenant_default"))) == 1


def reply(key, *, tenant_id="tenant_a", age_days=60):
    now = clock.now()
    with tenancy.tenant_scope(tenant_id):
        IdempotencyRecord.objects.create(
            tenant_id=tenant_id, principal_id="p", route="POST /x", key=key, identity_hash=key,
            request_hash="h",
            status=200, body="{}", created_at=now - dt.timedelta(days=age_days),
            expires_at=now - dt.timedelta(days=age_days - 45),
        )  # fmt: skip


def replies(tenant_id="tenant_a"):
    with tenancy.tenant_scope(tenant_id):
        return sorted(IdempotencyRecord.objects.filter(route="POST /x").values_list("key", flat=True))


class TestRetention:
    def test_it_deletes_expired_rows_of_the_tenant_only_7_3(self, db, api):
        reply("old")
        reply("young", age_days=3)
        reply("old", tenant_id="tenant_b")
        answer = api.post(RUN)
        assert answer.status_code == 200
        assert body(answer)["purged"] == {
            "ingest_records": 0, "deliveries": 0, "delivery_receipts": 0, "idempotency_records": 1,
            "webhook_payloads": 0,
        }  # fmt: skip
        assert (body(answer)["ok"], body(answer)["dryRun"], body(answer)["timedOut"]) == (True, False, False)
        assert (replies(), replies("tenant_b")) == (["young"], ["old"])

    def test_a_dry_run_counts_and_deletes_nothing(self, db, api):
        reply("old")
        assert body(api.post(RUN, {"dryRun": True}))["purged"]["idempotency_records"] == 1
        assert replies() == ["old"]

    def test_the_oldest_go_first_up_to_the_batch(self, db, api):
        for key, age in (("a", 60), ("b", 90), ("c", 70)):
            reply(key, age_days=age)
        assert body(api.post(RUN, {"maxRows": "2"}))["purged"]["idempotency_records"] == 2
        assert replies() == ["a"]

    @pytest.mark.parametrize(
        ("sent", "error"),
        [
            ({"batchSize": 0}, "invalid batchSize"), ({"batchSize": True}, "invalid batchSize"),
            ({"maxRows": 1.5}, "invalid batchSize"), ({"maxMillis": -1}, "invalid maxMillis"),
            ({"maxMillis": "x"}, "invalid maxMillis"),
        ],
    )  # fmt: skip
    def test_limits_must_be_positive_integers(self, db, api, sent, error):
        answer = api.post(RUN, sent)
        assert (refusal(answer), body(answer)["error"]) == ((400, "SCHEMA_INVALID"), error)

    def test_a_run_out_of_time_is_200_and_says_so(self, db, api, monkeypatch):
        def slow(**_):
            from django.db import connection

            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(5)")
            return 0

        monkeypatch.setitem(retention._purgers, "deliveries", slow)
        answer = api.post(RUN, {"maxMillis": 50})
        assert (answer.status_code, body(answer)["timedOut"]) == (200, True)

    def test_a_second_run_is_409_with_its_audit_row(self, db, api):
        with locks.session_advisory(retention.LOCK_KEY) as is_ours:
            assert is_ours
            answer = api.post(RUN)
        assert (refusal(answer), body(answer)["error"]) == (
            (409, "MAINTENANCE_ALREADY_RUNNING"),
            "maintenance already running",
        )
        assert [(row["outcome"], row["path"]) for row in audits(api, "MAINTENANCE_RETENTION_RUN")] == [
            ("already_running", RUN)
        ]

    def test_status_shows_the_last_run(self, db, api):
        api.post(RUN, {"dryRun": True})
        section = body(api.get("/ops/status"))["maintenance"]["retentionCleanup"]
        assert (section["outcome"], section["dryRun"], section["code"]) == ("ok", True, None)
        assert (
            section["auditId"]
            == body(api.get("/ops/audit?action=MAINTENANCE_RETENTION_RUN"))["audit"][0]["id"]
        )

    def test_ops_write_is_needed(self, db, api):
        assert refusal(api.with_token("tok_read").post(RUN)) == (403, "FORBIDDEN")
