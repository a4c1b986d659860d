"""The routes of this room."""

from django.urls import path

from reconciliation.api.rail_reconcile import RailReconcile

urlpatterns = [path("ops/finance/money-rails/reconcile", RailReconcile.as_view())]
