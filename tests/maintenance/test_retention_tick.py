"""Retention over all tenants by beat: platform-operations 7.1, 7.2, 7.3 and the gauges of 6."""

import datetime as dt

import pytest
from django.conf import settings
from django.db import DatabaseError
from prometheus_client import REGISTRY

from settld.api import metrics
from settld.core import locks, tenancy
from settld.idempotency.models import IdempotencyRecord
from settld.maintenance.models import MaintenanceRun, MaintenanceState
from settld.maintenance.services import MaintenanceRunFailed, retention
from settld.maintenance.states import GLOBAL
from settld.maintenance.tasks import retention_tick
from settld.tenants.models import Tenant
from tests.support.api import body

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 2, 1, 8, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _tenants():
    for tenant_id in ("tenant_a", "tenant_b"):
        Tenant.objects.create(tenant_id=tenant_id, created_at=NOW, updated_at=NOW)


def expired(tenant_id, count):
    with tenancy.tenant_scope(tenant_id):
        IdempotencyRecord.objects.bulk_create(
            IdempotencyRecord(
                tenant_id=tenant_id, principal_id="p", route="r", key=str(n), identity_hash=f"{n:064d}",
                request_hash="0" * 64, status=200, body="{}", created_at=NOW, expires_at=NOW,
            )
            for n in range(count)
        )  # fmt: skip


def left(tenant_id):
    with tenancy.tenant_scope(tenant_id):
        return IdempotencyRecord.objects.filter(tenant_id=tenant_id).count()


def state_of(tenant_id):
    with tenancy.tenant_scope(tenant_id):
        return MaintenanceState.objects.get(tenant_id=tenant_id, kind=retention.KIND)


def audits(api, tenant_id="tenant_default"):
    return body(api.as_tenant(tenant_id).get("/ops/audit?action=MAINTENANCE_RETENTION_RUN"))["audit"]


def test_beat_holds_the_tick_at_the_interval_that_is_set():
    entry = settings.CELERY_BEAT_SCHEDULE["retention"]
    assert (entry["task"], entry["schedule"]) == (
        "maintenance.retention_tick",
        settings.MAINTENANCE_INTERVAL_SECONDS,
    )


def test_every_tenant_has_its_turn_within_its_bounds_and_sees_only_its_own(api):
    expired("tenant_a", 3)
    expired("tenant_b", 1)
    retention.run_over_all(now=NOW, limits=retention.Limits(rows_per_table=2))
    assert (left("tenant_a"), left("tenant_b")) == (1, 0)
    shown = body(api.get("/ops/status"))["maintenance"]["retentionCleanup"]
    assert (shown["at"], shown["outcome"], shown["dryRun"]) == ("2026-02-01T08:00:00.000Z", "ok", False)
    assert shown["purged"]["idempotency_records"] == 2
    assert state_of(GLOBAL).last_result["purged"]["idempotency_records"] == 3
    (row,) = audits(api)
    assert (row["actorPrincipalId"], row["details"]["origin"]) == ("maintenance_runner",) * 2
    assert (row["details"]["scope"], row["details"]["outcome"]) == ("global", "ok")
    assert audits(api, "tenant_a") == []
    with tenancy.tenant_scope(GLOBAL):
        assert MaintenanceRun.objects.get().audit_id == row["id"]


def test_who_waited_longest_is_first():
    retention.run_over_all(now=NOW)
    with tenancy.tenant_scope("tenant_a"):
        MaintenanceState.objects.filter(tenant_id="tenant_a").update(last_run_at=NOW - dt.timedelta(days=1))
    Tenant.objects.create(tenant_id="tenant_new", created_at=NOW, updated_at=NOW)
    assert retention._in_turn()[:2] == ["tenant_new", "tenant_a"]


def test_one_tenants_failure_leaves_the_others_their_turn(monkeypatch):
    expired("tenant_b", 1)

    def broken(*, tenant_id, now, limit, is_dry_run):
        if tenant_id == "tenant_a":
            raise DatabaseError("no")
        return retention._purge_replies(tenant_id=tenant_id, now=now, limit=limit, is_dry_run=is_dry_run)

    monkeypatch.setitem(retention._purgers, "idempotency_records", broken)
    with pytest.raises(MaintenanceRunFailed):
        retention.run_over_all(now=NOW)
    assert left("tenant_b") == 0
    assert (state_of("tenant_a").outcome, state_of("tenant_b").outcome) == ("error", "ok")
    assert (state_of("tenant_a").last_success_at, state_of(GLOBAL).outcome) == (None, "error")


def test_a_run_at_work_keeps_the_tick_away_quietly(api):
    expired("tenant_a", 1)
    with locks.session_advisory(retention.LOCK_KEY) as is_ours:
        assert is_ours
        retention_tick()
    assert left("tenant_a") == 1
    assert [row["details"]["outcome"] for row in audits(api)] == ["already_running"]
    retention_tick()
    assert left("tenant_a") == 0


def test_gauges_tell_of_the_last_run_of_the_tenant_and_of_the_platform_6(api, monkeypatch):
    monkeypatch.setattr(metrics, "_cache", {})
    before = scraped(api)
    assert before['maintenance_last_run_unixtime{kind="retention_cleanup"}'] == 0
    retention.run_over_all(now=NOW)
    monkeypatch.setattr(metrics, "_cache", {})
    after = scraped(api)
    assert after['maintenance_last_run_unixtime{kind="retention_cleanup"}'] == NOW.timestamp()
    assert after['maintenance_last_run_ok_gauge{kind="retention_cleanup"}'] == 1
    assert after['retention_run_seconds{dry_run="false",result="ok",scope="global"}'] >= 0
    platform = scraped(api, "?scope=platform")
    assert platform['maintenance_last_success_unixtime{kind="retention_cleanup"}'] > 0
    stranger = scraped(api.as_tenant("tenant_unknown"))
    assert stranger['maintenance_last_run_unixtime{kind="retention_cleanup"}'] == 0


def scraped(api, query=""):
    lines = api.get(f"/metrics{query}").content.decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if line and line[0] != "#")
    }


def test_runs_are_counted_6(api):
    labels = {"kind": retention.KIND, "result": "ok", "scope": "tenant", "dry_run": "true"}
    before = REGISTRY.get_sample_value("maintenance_runs_total", labels) or 0
    api.post("/ops/maintenance/retention/run", {"dryRun": True})
    assert REGISTRY.get_sample_value("maintenance_runs_total", labels) == before + 1


def test_a_gauge_group_that_breaks_in_any_way_is_left_out_and_counted_6(api, monkeypatch):
    monkeypatch.setattr(metrics, "_cache", {})
    monkeypatch.setitem(metrics.gauge_groups, "tests", lambda: 1 / 0)
    assert api.get("/metrics").status_code == 200
    assert REGISTRY.get_sample_value("metrics_group_error_total", {"group": "tests"}) >= 1
