"""Maintenance routes."""

from django.urls import path

from settld.maintenance.api.views import OpsStatus, RetentionRun

urlpatterns = [
    path("ops/status", OpsStatus.as_view()),
    path("ops/maintenance/retention/run", RetentionRun.as_view()),
]
