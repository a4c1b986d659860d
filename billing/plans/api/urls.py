"""Plan routes."""

from django.urls import path

from billing.plans.api import views

urlpatterns = [
    path("ops/finance/billing/catalog", views.Catalog.as_view()),
    path("ops/finance/billing/plan", views.TenantPlan.as_view()),
]
