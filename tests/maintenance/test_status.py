"""GET /ops/status: spec/platform-operations.md 7.1, spec/money-rails.md 2.8."""

import datetime as dt

import pytest
from django.db import DatabaseError

from settld.core import clock, tenancy
from settld.maintenance import queries, services, status
from settld.maintenance.states import RunOutcome
from tests.support.api import body, refusal

NOW = dt.datetime(2026, 2, 1, 8, tzinfo=dt.UTC)
NEVER = {
    "lastRunAt": None, "lastSuccessAt": None, "lastResult": None, "outcome": None,
    "runtimeMs": None, "requestId": None, "auditId": None,
}  # fmt: skip


def note(tenant_id, outcome=RunOutcome.OK, at=NOW, **result):
    with tenancy.tenant_scope(tenant_id):
        services.note_state(
            tenant_id=tenant_id, kind=status.RAILS, outcome=outcome, ran_at=at, finished_at=at,
            runtime_ms=12, result=result or None, request_id="req_1", audit_id=7,
        )  # fmt: skip


def test_a_tenant_without_runs_sees_the_full_shape(db, api):
    answer = body(api.get("/ops/status"))
    assert (answer["ok"], answer["tenantId"]) == (True, "tenant_a")
    assert clock.parse_iso(answer["process"]["startedAt"]) <= clock.now()
    assert isinstance(answer["process"]["uptimeSeconds"], int)
    assert answer["backlog"] == {
        "outboxByKind": {}, "deliveriesPending": 0, "deliveriesFailed": 0, "ingestRejected": 0,
        "deliveryDlqTopDestinations": [],
    }  # fmt: skip
    assert answer["reasons"] == {"topAppendRejected": [], "topIngestRejected": []}
    sections = answer["maintenance"]
    assert sections["retentionCleanup"] is None
    rails = sections["moneyRailReconciliation"]
    assert {key: rails[key] for key in NEVER} == NEVER
    assert (rails["intervalSeconds"], rails["maxTenants"]) == (300, 50)
    assert (rails["maxPeriodsPerTenant"], rails["maxProvidersPerTenant"]) == (2, 10)
    finance = sections["financeReconciliation"]
    assert finance == NEVER | {
        "enabled": True, "intervalSeconds": 300, "maxTenants": 50, "maxPeriodsPerTenant": 2,
    }  # fmt: skip
    assert sections["invariants"] == NEVER | {
        "enabled": True, "intervalSeconds": 60, "maxTenants": 200, "broken": [],
    }  # fmt: skip
    assert sections["billingStripeSync"]["enabled"] is False


def test_a_run_is_remembered_and_only_its_tenant_sees_it_2_8(db, api):
    note("tenant_a", summary={"passCount": 1})
    mine = body(api.get("/ops/status"))["maintenance"]["moneyRailReconciliation"]
    assert {key: mine[key] for key in NEVER} == {
        "lastRunAt": "2026-02-01T08:00:00.000Z", "lastSuccessAt": "2026-02-01T08:00:00.000Z",
        "lastResult": {"summary": {"passCount": 1}}, "outcome": "ok", "runtimeMs": 12,
        "requestId": "req_1", "auditId": 7,
    }  # fmt: skip
    theirs = body(api.as_tenant("tenant_b").get("/ops/status"))["maintenance"]["moneyRailReconciliation"]
    assert {key: theirs[key] for key in NEVER} == NEVER


def test_a_failed_run_keeps_the_time_of_the_last_success(db, api):
    note("tenant_a")
    note("tenant_a", RunOutcome.ERROR, NOW + dt.timedelta(hours=1))
    rails = body(api.get("/ops/status"))["maintenance"]["moneyRailReconciliation"]
    assert (rails["outcome"], rails["lastSuccessAt"]) == ("error", "2026-02-01T08:00:00.000Z")


def test_enabled_follows_the_loaded_beat_schedule(db, api, settings):
    settings.CELERY_BEAT_SCHEDULE = {"x": {"task": status.RAILS_TASK, "schedule": 60}}
    assert body(api.get("/ops/status"))["maintenance"]["moneyRailReconciliation"]["enabled"] is True
    settings.MONEY_RAIL_RECONCILE = {**settings.MONEY_RAIL_RECONCILE, "enabled": False}
    assert body(api.get("/ops/status"))["maintenance"]["moneyRailReconciliation"]["enabled"] is False


def test_a_database_that_fails_is_503(db, api, monkeypatch):
    def broken(**_):
        raise DatabaseError

    monkeypatch.setattr(status, "read", broken)
    answer = api.get("/ops/status")
    assert (answer.status_code, body(answer)) == (503, {"ok": False})


@pytest.mark.parametrize(("scope", "code"), [("ops_read", 200), ("finance_read", 200), ("audit_read", 403)])
def test_ops_or_finance_readers_may_read(db, api, settings, scope, code):
    settings.OPS_TOKENS = {"tok_one": frozenset({scope})}
    assert api.with_token("tok_one").get("/ops/status").status_code == code


def test_the_heartbeat_of_beat_is_kept(db):
    services.beat(now=NOW)
    assert queries.last_heartbeat() == (NOW, NOW)
    assert queries.health_detail()["autotickLastTickAt"] == "2026-02-01T08:00:00.000Z"


def test_no_route_answers_a_stranger(db, api):
    assert refusal(api.with_token("").get("/ops/status")) == (403, "FORBIDDEN")
