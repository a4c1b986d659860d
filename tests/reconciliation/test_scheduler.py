"""money-rails 6: the scheduler's order of answers, its fairness, its items on their own."""

import datetime as dt

import pytest

from reconciliation.models import MismatchAlert, ReconcileReport
from reconciliation.services import items, scheduler, turns
from reconciliation.services.scheduler import Order
from reconciliation.tasks import money_rails_tick
from settld.audit.models import OpsAudit
from settld.core import clock, tenancy
from settld.core.locks import session_advisory
from settld.maintenance.models import MaintenanceRun, MaintenanceState
from settld.maintenance.services import MaintenanceAlreadyRunning
from settld.tenants.models import Tenant
from tests.reconciliation.books import NOW, PERIOD, Books
from tests.reconciliation.statement import with_stripe

A, B, C = "tenant_a", "tenant_b", "tenant_c"
INTERVAL = dt.timedelta(seconds=300)


def tenant(tenant_id, *periods, state="confirmed"):
    """A tenant with a payout in each month."""
    Tenant.objects.get_or_create(tenant_id=tenant_id, defaults={"created_at": NOW, "updated_at": NOW})
    with tenancy.tenant_scope(tenant_id):
        for period in periods:
            Books(tenant_id).pay("p1", period=period, state=state)


def tick(now=NOW, **order):
    with clock.freeze(now):
        return scheduler.run(Order(**order))


def audits(tenant_id):
    with tenancy.tenant_scope(tenant_id):
        rows = OpsAudit.objects.filter(tenant_id=tenant_id, action=scheduler.ACTION).order_by("id")
        return [row.details for row in rows]


def states(tenant_id):
    with tenancy.tenant_scope(tenant_id):
        return {row.kind: row for row in MaintenanceState.objects.filter(tenant_id=tenant_id)}


@pytest.fixture
def three(db):
    tenant("tenant_default")
    tenant(A, "2025-12", "2026-01", PERIOD)
    tenant(B, PERIOD, state="failed")
    tenant(C)


def test_a8_a_run_covers_tenants_months_and_providers_and_persists_reports(three, settings):
    settings.MONEY_RAILS = with_stripe(settings.MONEY_RAILS)

    result = tick()

    assert {name: result[name] for name in ("ok", "scope", "tenantId", "period", "providerId", "force")} == {
        "ok": True, "scope": "global", "tenantId": None, "period": None, "providerId": None, "force": False,
    }  # fmt: skip
    assert result["summary"] == {
        "tenantCount": 4, "attempted": 6, "reconciled": 6, "passCount": 5, "failCount": 1,
        "skippedNoInputs": 2, "errored": 0, "artifactsPersisted": 6, "deliveriesCreated": 0,
    }  # fmt: skip
    rows = [(row["tenantId"], row["period"], row["providerId"], row["status"]) for row in result["results"]]
    assert rows == [
        (A, "2026-02", "stripe_sim", "pass"),
        (A, "2026-02", "stub_default", "pass"),
        (A, "2026-01", "stripe_sim", "pass"),
        (A, "2026-01", "stub_default", "pass"),
        (B, "2026-02", "stripe_sim", "pass"),
        (B, "2026-02", "stub_default", "fail"),
        (C, None, None, "skipped"),
        ("tenant_default", None, None, "skipped"),
    ]
    assert result["results"][6] == {
        "tenantId": C, "period": None, "providerId": None, "status": "skipped",
        "reason": "no_payout_instruction",
    }  # fmt: skip
    assert set(result["results"][0]) == {
        "tenantId", "period", "providerId", "status", "reportHash", "artifactId",
    }  # fmt: skip
    with tenancy.tenant_scope(A):
        assert ReconcileReport.objects.filter(tenant_id=A).count() == 4


def test_a_run_twice_over_unchanged_books_gives_the_same_artifacts(three):
    first, second = tick(), tick(NOW + 2 * INTERVAL)

    keep = ("tenantId", "period", "providerId", "reportHash", "artifactId", "status")
    shape = lambda result: sorted(  # noqa: E731
        [tuple(row.get(name) for name in keep) for row in result["results"]], key=str
    )
    assert shape(first) == shape(second)


def test_disabled_answers_even_when_forced(three, settings):
    settings.MONEY_RAIL_RECONCILE = {**settings.MONEY_RAIL_RECONCILE, "enabled": False}

    answer = tick(force=True)
    assert (answer["ok"], answer["skipped"], answer["reason"]) == (True, True, "disabled")
    assert states(A) == {}


def test_the_gate_is_a_row_that_force_passes_and_time_opens(three):
    tick()
    early = tick(NOW + INTERVAL - dt.timedelta(milliseconds=1))
    assert (early["skipped"], early["reason"], early["nextEligibleAt"]) == (
        True, "interval_not_elapsed", "2026-03-05T12:05:00.000Z",
    )  # fmt: skip
    assert tick(NOW + INTERVAL - dt.timedelta(seconds=1), force=True)["summary"]["tenantCount"] == 4
    assert tick(NOW + INTERVAL)["skipped"] is True  # the forced run has moved the gate
    assert tick(NOW + 2 * INTERVAL)["summary"]["tenantCount"] == 4


def test_an_interval_of_zero_is_no_gate(three, settings):
    settings.MONEY_RAIL_RECONCILE = {**settings.MONEY_RAIL_RECONCILE, "interval_seconds": 0}
    tick()
    assert "skipped" not in tick()


def test_a_run_while_another_is_at_work_ends_at_once_and_moves_nothing(three):
    tick()
    with session_advisory("settld:maintenance:money_rail_reconcile:v1") as is_ours:
        assert is_ours
        with pytest.raises(MaintenanceAlreadyRunning):
            tick(NOW + 2 * INTERVAL)
    assert states("*")["money_rails_reconcile"].last_run_at == NOW
    assert states(A)["money_rails_reconcile"].last_run_at == NOW
    assert [audit["outcome"] for audit in audits("tenant_default")] == ["ok", "already_running"]
    assert "skipped" not in tick(NOW + 2 * INTERVAL)  # and it has postponed nothing (10.15)


def test_a_run_that_ended_while_we_came_for_the_lock_is_not_run_again(three, monkeypatch):
    from settld.core import locks

    real = locks.session_advisory
    rivals = []

    def late(key):
        if not rivals and key == scheduler.LOCK_KEY:
            rivals.append(key)
            tick(force=True)
        return real(key)

    monkeypatch.setattr(locks, "session_advisory", late)
    assert tick()["reason"] == "interval_not_elapsed"
    assert len(audits("tenant_default")) == 1


def test_fairness_no_tenant_starves_10_15(db):
    names = [f"tenant_{number}" for number in range(5)]
    for name in names:
        tenant(name, PERIOD)
    seen = []
    for turn in range(6):
        result = tick(NOW + turn * INTERVAL, max_tenants=2)
        seen += sorted({row["tenantId"] for row in result["results"]})

    assert seen == [*names, "tenant_default"] * 2


def test_a_run_by_hand_does_not_cost_a_tenant_its_turn(db):
    tenant(A, PERIOD)
    tenant(B, PERIOD)
    with tenancy.tenant_scope(A):
        tick(tenant_id=A, force=True)
    assert {row["tenantId"] for row in tick(NOW + INTERVAL, max_tenants=1)["results"]} == {A}


def test_a_tenant_that_breaks_the_worker_does_not_come_first_for_ever(three, monkeypatch):
    def broken(tenant_id, order, *, actor):
        raise SystemExit

    monkeypatch.setattr(scheduler, "_cover", broken)
    with pytest.raises(SystemExit):
        tick()
    monkeypatch.undo()
    assert turns.tenants(limit=1) == [B]  # A, who was at work when it broke, has had its turn


def test_an_error_in_one_item_is_its_own(three, monkeypatch):
    from reconciliation.services import rail_report

    real = rail_report.reconcile

    def faulty(**asked):
        if (asked["tenant_id"], asked["period"]) == (A, PERIOD):
            from django.db import connection

            with connection.cursor() as cursor:
                cursor.execute("SELECT 1/0")
        return real(**asked)

    monkeypatch.setattr(items.rail_report, "reconcile", faulty)
    # In a transaction of its own, as outside of a test, the broken statement takes nothing else along.
    from settld.core import transactions

    guarded = items.rail_report.reconcile
    monkeypatch.setattr(items.rail_report, "reconcile", lambda **asked: _alone(transactions, guarded, asked))
    result = tick()

    broken = [row for row in result["results"] if row["status"] == "error"]
    assert broken == [
        {
            "tenantId": A, "period": PERIOD, "providerId": "stub_default", "status": "error",
            "reportHash": None, "artifactId": None, "code": "MONEY_RAIL_RECONCILE_FAILED",
            "error": "DataError",
        }
    ]  # fmt: skip
    assert (result["ok"], result["summary"]["errored"], result["summary"]["reconciled"]) == (False, 1, 2)
    assert states(A)["money_rails_reconcile"].outcome == "error"
    assert states(A)["money_rails_reconcile"].last_success_at is None
    assert states(B)["money_rails_reconcile"].outcome == "ok"
    assert audits("tenant_default")[-1]["outcome"] == "error"


def _alone(transactions, work, asked):
    with transactions.atomic():
        return work(**asked)


def test_an_unknown_provider_is_skipped(three):
    result = tick(provider_id="nobody", force=True)
    assert {row["reason"] for row in result["results"]} == {"money rail provider not found"}
    assert (result["ok"], result["summary"]["attempted"]) == (True, 0)


def test_periods_are_the_newest_with_instructions_however_many_there_are(db):
    tenant(A, "2024-01", "2025-11", "2025-12", "2026-02")
    with tenancy.tenant_scope(A):
        assert turns.periods(tenant_id=A, limit=3) == ["2026-02", "2025-12", "2025-11"]
        assert turns.periods(tenant_id=A, limit=24) == ["2026-02", "2025-12", "2025-11", "2024-01"]
        assert turns.periods(tenant_id=B, limit=3) == []


def test_the_beat_task_audits_under_the_default_tenant_as_the_runner(three, settings):
    with clock.freeze(NOW):
        money_rails_tick(newer_argument=True)
        money_rails_tick()  # not due: no trace

    assert len(audits("tenant_default")) == 1
    with tenancy.tenant_scope("tenant_default"):
        row = OpsAudit.objects.get(tenant_id="tenant_default", action=scheduler.ACTION)
    assert (row.actor_principal_id, row.target_type, row.target_id) == (
        "maintenance_runner", "maintenance", "money_rails_reconcile",
    )  # fmt: skip
    details = row.details
    assert (details["origin"], details["outcome"], details["scope"]) == ("maintenance_runner", "ok", "global")
    assert details["summary"]["tenantCount"] == 4
    assert {"period", "providerId", "force", "maxTenants", "runtimeMs", "code"} <= set(details)
    assert audits(A) == []


def test_2_8_status_holds_what_a_run_over_all_did_for_this_tenant_alone(three, api):
    tick()

    rails = api.get("/ops/status").json()["maintenance"]["moneyRailReconciliation"]

    assert (rails["enabled"], rails["outcome"], rails["lastRunAt"]) == (
        True,
        "ok",
        "2026-03-05T12:00:00.000Z",
    )
    assert {row["tenantId"] for row in rails["lastResult"]["results"]} == {A}
    assert rails["lastResult"]["summary"]["tenantCount"] == 1
    assert (rails["lastResult"]["summary"]["passCount"], rails["lastResult"]["scope"]) == (2, "global")
    theirs = api.as_tenant(B).get("/ops/status").json()["maintenance"]["moneyRailReconciliation"]
    assert {row["tenantId"] for row in theirs["lastResult"]["results"]} == {B}
    assert B not in str(rails)
    never = api.as_tenant("tenant_d").get("/ops/status").json()["maintenance"]["moneyRailReconciliation"]
    assert (never["lastRunAt"], never["lastResult"]) == (None, None)


def test_the_history_has_a_row_for_each_tenant_that_was_covered(three):
    tick()
    with tenancy.tenant_scope(B):
        run = MaintenanceRun.objects.get(tenant_id=B)
    assert (run.kind, run.scope, run.outcome, run.figures) == (
        "money_rails_reconcile", "global", "ok", {"mismatchCount": 1},
    )  # fmt: skip


# --- The alert --------------------------------------------------------------------------------------
def alerts(tenant_id):
    with tenancy.tenant_scope(tenant_id):
        rows = OpsAudit.objects.filter(tenant_id=tenant_id, action="MONEY_RAIL_MISMATCH_ALERT")
        return [row.details for row in rows.order_by("id")]


def test_a10_the_mismatch_alert_is_given_once_a_day_when_the_threshold_is_reached(db, settings):
    settings.MISMATCH_ALERT_THRESHOLD = 2
    tenant(A, PERIOD, state="failed")
    tick()
    assert alerts(A) == []
    with tenancy.tenant_scope(A):
        Books(A).pay("p2", state="failed")
        Books(A).pay("p3", state="failed")
    tick(NOW + INTERVAL)
    tick(NOW + 2 * INTERVAL)

    (alert,) = alerts(A)
    assert (alert["dayKey"], alert["count"], alert["threshold"]) == ("2026-03-05", 3, 2)
    assert len(alert["triageKeys"]) == 3
    tick(NOW + dt.timedelta(days=1))  # nothing was first seen that day
    assert len(alerts(A)) == 1


def test_a10_the_tenants_own_threshold_counts(db):
    from moneyrails.models import MoneyRailControls

    tenant(A, PERIOD, state="failed")
    with tenancy.tenant_scope(A):
        MoneyRailControls.objects.create(tenant_id=A, daily_mismatch_alert_threshold=5, created_at=NOW)
    tick()
    assert alerts(A) == []
    with tenancy.tenant_scope(A):
        assert not MismatchAlert.objects.exists()
