"""Audit routes."""

from django.urls import path

from settld.audit.api.views import AuditList, AuditVerify

urlpatterns = [
    path("ops/audit", AuditList.as_view()),
    path("ops/audit/verify", AuditVerify.as_view()),
]
