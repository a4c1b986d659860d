"""Runs beside each other, over several connections: one report, one case, one alert, one run."""

import datetime as dt
import threading
import time

import pytest

from reconciliation.models import Mismatch, MismatchAlert, ReconcileReport
from reconciliation.services import scheduler
from settld.audit.models import OpsAudit
from settld.core import tenancy
from settld.maintenance.services import MaintenanceAlreadyRunning
from settld.tenants.models import Tenant
from tests.reconciliation.books import NOW, TENANT, Books


def at_once(work, count=6):
    """Run something in several threads; gives what each gave, and raises what one raised."""
    results, problems = [], []

    def run(number):
        from django.db import connections

        try:
            results.append(work(number))
        except Exception as problem:  # a thread's failure must reach the test
            problems.append(problem)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    return results


def test_runs_at_once_store_one_report_one_case_and_one_alert_a10(live_db):
    with tenancy.tenant_scope(TENANT):
        for period in ("2026-01", "2026-02", "2025-12"):
            Books().instruct(Books().statement("p1", period=period))

    def run(number):
        period = ("2026-01", "2026-02", "2025-12")[number % 3]
        with tenancy.tenant_scope(TENANT):
            return Books().reconcile(persist=True, period=period).artifact

    reports = at_once(run, count=9)

    assert len(set(reports)) == 3
    with tenancy.tenant_scope(TENANT):
        assert (ReconcileReport.objects.count(), Mismatch.objects.count()) == (3, 3)
        assert MismatchAlert.objects.count() == 1
        assert OpsAudit.objects.filter(action="MONEY_RAIL_MISMATCH_ALERT").count() == 1


def test_a8_of_runs_at_once_one_runs_and_the_others_are_turned_away_at_once(live_db, monkeypatch):
    Tenant.objects.create(tenant_id=TENANT, created_at=NOW, updated_at=NOW)
    with tenancy.tenant_scope(TENANT):
        Books().pay("p1")
    may_end, others_done = threading.Event(), threading.Semaphore(0)
    real = scheduler._cover

    def slow(tenant_id, order, *, actor):
        may_end.wait(20)
        return real(tenant_id, order, actor=actor)

    monkeypatch.setattr(scheduler, "_cover", slow)

    def run(_number):
        try:
            result = scheduler.run(scheduler.Order(force=True))
            return "ran" if result["ok"] else "failed"
        except MaintenanceAlreadyRunning:
            others_done.release()
            if others_done._value >= 3:
                may_end.set()
            return "turned away"

    assert sorted(at_once(run, count=4)) == ["ran", "turned away", "turned away", "turned away"]
    with tenancy.tenant_scope("tenant_default"):
        outcomes = OpsAudit.objects.filter(action=scheduler.ACTION).order_by("id")
        assert sorted(row.details["outcome"] for row in outcomes) == ["already_running"] * 3 + ["ok"]


def test_the_gate_is_shared_by_processes(live_db):
    Tenant.objects.create(tenant_id=TENANT, created_at=NOW, updated_at=NOW)
    first = scheduler.run(scheduler.Order())
    others = at_once(lambda _number: scheduler.run(scheduler.Order()), count=3)

    assert "skipped" not in first
    assert {other["reason"] for other in others} == {"interval_not_elapsed"}


def test_a_run_that_loses_a_deadlock_against_people_deciding_is_done_again(live_db, monkeypatch):
    """Somebody holds a case that the run wants to clear, and wants one that the run has renewed."""
    from reconciliation.services import items, keeping
    from settld.core import transactions
    from settld.core.principals import Actor

    with tenancy.tenant_scope(TENANT):
        keys = [Books().statement(party) for party in ("p1", "p2")]
        for key in keys:
            Books().instruct(key)
        Books().reconcile(persist=True)
        Books().operate(keys[0])
    renewed, held = threading.Event(), threading.Event()
    plain, tries = keeping.clear_absent, []

    def clear_absent(**more):
        tries.append(1)
        renewed.set()
        held.wait(20)
        return plain(**more)

    monkeypatch.setattr(keeping, "clear_absent", clear_absent)

    def work(number):
        with tenancy.tenant_scope(TENANT):
            if number == 0:
                return items.books(
                    tenant_id=TENANT, period="2026-02", provider_id="stub_default", actor=Actor.system("x"),
                    now=NOW + dt.timedelta(minutes=1),
                ).status  # fmt: skip
            renewed.wait(20)
            with transactions.atomic():
                list(Mismatch.objects.select_for_update().filter(mismatch_key__contains="p1"))
                held.set()
                time.sleep(0.5)
                list(Mismatch.objects.select_for_update().filter(mismatch_key__contains="p2"))
            return "decided"

    assert sorted(at_once(work, count=2)) == ["decided", "fail"]
    assert len(tries) == 2


@pytest.mark.parametrize("days", [0, 1])
def test_a_new_day_may_have_its_own_alert(live_db, days):
    from reconciliation.services import alerts
    from settld.core import transactions
    from settld.core.principals import Actor

    with tenancy.tenant_scope(TENANT):
        Books().instruct(Books().statement("p1"))
        Books().reconcile(persist=True)
        later = NOW + dt.timedelta(days=days)
        Books().instruct(Books().statement("p2"))
        Books().reconcile(persist=True, now=later)
        with transactions.atomic():
            assert alerts.give_if_due(tenant_id=TENANT, actor=Actor.system("x"), now=later) is False
        assert MismatchAlert.objects.count() == 1 + days
