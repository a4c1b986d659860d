"""finance 6.3: rounds over tenants: gate, fairness, months, and errors that stay where they are."""

import datetime as dt

from reconciliation.services import finance_scheduler, scheduler, turns
from reconciliation.services.finance_scheduler import Order
from reconciliation.tasks import finance_tick
from settld.audit.models import OpsAudit
from settld.core import clock, tenancy
from settld.core.locks import session_advisory
from settld.maintenance.models import MaintenanceRun, MaintenanceState
from tests.reconciliation.finance.month import NOW, closed_books, known, reopen

INTERVAL = dt.timedelta(seconds=300)
A, B, C = "tenant_a", "tenant_b", "tenant_c"


def tick(now=NOW, **order):
    with clock.freeze(now):
        return finance_scheduler.run(Order(**order))


def test_a_round_covers_each_tenant_s_newest_months_with_a_batch(db):
    known("tenant_default")
    for period in ("2025-11", "2025-12", "2026-01"):
        closed_books(tenant_id=A, period=period)
    closed_books(tenant_id=B)
    known(C)

    result = tick()

    assert [(row["tenantId"], row["period"], row["status"], row["reason"]) for row in result["results"]] == [
        (A, "2026-01", "pass", None),
        (A, "2025-12", "pass", None),
        (B, "2026-02", "pass", None),
        (C, None, "skipped", "no_gl_batch"),
        ("tenant_default", None, "skipped", "no_gl_batch"),
    ]
    assert (result["ok"], result["scope"], result["maxPeriodsPerTenant"]) == (True, "global", 2)
    with tenancy.tenant_scope("tenant_default"):
        [audit] = OpsAudit.objects.filter(action=finance_scheduler.ACTION)
        assert audit.details["origin"] == "maintenance_runner"
        assert (audit.target_type, audit.target_id) == ("maintenance", "finance_reconcile")
    with tenancy.tenant_scope(B):  # a tenant sees its own results only
        state = MaintenanceState.objects.get(tenant_id=B, kind="finance_reconcile")
        assert {row["tenantId"] for row in state.last_result["results"]} == {B}
        assert MaintenanceRun.objects.get(tenant_id=B, kind="finance_reconcile").summary["passCount"] == 1


def test_a_reopened_month_is_no_newest_month(db):
    closed_books(tenant_id=A, period="2026-01")
    closed_books(tenant_id=A, period="2026-02")
    with tenancy.tenant_scope(A):
        reopen(tenant_id=A, period="2026-02")
    rows = tick(max_periods_per_tenant=1)["results"]
    assert [row["period"] for row in rows if row["tenantId"] == A] == ["2026-01"]


def test_no_tenant_starves_peer_takes_the_first_50_by_name(db):
    names = [f"tenant_{number}" for number in range(5)]
    for name in names:
        known(name)
    seen = []
    for turn in range(5):
        result = tick(NOW + turn * INTERVAL, max_tenants=1)
        seen += [row["tenantId"] for row in result["results"]]
    assert seen == names


def test_turns_and_gates_of_the_two_schedulers_are_their_own(db):
    known(A)
    known(B)
    tick(max_tenants=1)
    with clock.freeze(NOW):
        rails = scheduler.run(scheduler.Order(max_tenants=1))
    assert {row["tenantId"] for row in rails["results"]} == {A}
    assert turns.tenants(turn="finance_reconcile_turn", limit=1) == [B]


def test_the_gate_is_a_row_and_a_round_elsewhere_is_left_alone(db):
    known(A)
    tick()
    early = tick(NOW + INTERVAL - dt.timedelta(seconds=1))
    assert (early["skipped"], early["reason"]) == (True, "interval_not_elapsed")
    with session_advisory(finance_scheduler.LOCK_KEY), clock.freeze(NOW + 2 * INTERVAL):
        finance_tick()  # the peer's autotick takes no lock
    with tenancy.tenant_scope("*"):
        assert MaintenanceState.objects.get(tenant_id="*", kind="finance_reconcile").last_run_at == NOW


def test_an_error_in_one_month_is_its_own(db, monkeypatch):
    from reconciliation.services import finance_report

    for name in (A, B):
        closed_books(tenant_id=name)
    real = finance_report.reconcile

    def faulty(**asked):
        if asked["tenant_id"] == A:
            raise RuntimeError("unforeseen")
        return real(**asked)

    monkeypatch.setattr(finance_report, "reconcile", faulty)
    result = tick()

    assert [(row["tenantId"], row["status"], row["code"], row["error"]) for row in result["results"]] == [
        (A, "error", "FINANCE_RECONCILE_FAILED", "RuntimeError"),
        (B, "pass", None, None),
        ("tenant_default", "skipped", None, None),
    ]
    assert (result["ok"], result["code"]) == (False, "FINANCE_RECONCILE_PERIODS_FAILED")
    assert (result["summary"]["erroredPeriods"], result["summary"]["reconciledPeriods"]) == (1, 1)
