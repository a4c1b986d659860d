"""Plan routes."""

from django.urls import path

from billing.plans.api import period_close, subscription, summary, views

urlpatterns = [
    path("ops/finance/billing/catalog", views.Catalog.as_view()),
    path("ops/finance/billing/plan", views.TenantPlan.as_view()),
    path("ops/finance/billing/subscription", subscription.TenantSubscription.as_view()),
    path("ops/finance/billing/summary", summary.BillingSummary.as_view()),
    path("ops/finance/billing/period-close", period_close.PeriodClose.as_view()),
]
