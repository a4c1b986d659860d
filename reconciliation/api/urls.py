"""The routes of this room."""

from django.urls import path

from reconciliation.api.finance_reconcile import FinanceReconcile
from reconciliation.api.finance_run import FinanceReconcileRun
from reconciliation.api.invariants import Invariants
from reconciliation.api.rail_reconcile import RailReconcile
from reconciliation.api.rail_run import RailReconcileRun
from reconciliation.api.triage import ReconciliationTriage

urlpatterns = [
    path("ops/finance/money-rails/reconcile", RailReconcile.as_view()),
    path("ops/maintenance/money-rails-reconcile/run", RailReconcileRun.as_view()),
    path("ops/finance/reconcile", FinanceReconcile.as_view()),
    path("ops/finance/invariants", Invariants.as_view()),
    path("ops/maintenance/finance-reconcile/run", FinanceReconcileRun.as_view()),
    path("ops/finance/reconciliation/triage", ReconciliationTriage.as_view()),
]
