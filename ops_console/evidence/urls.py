"""The API's routes of this room."""

from django.urls import path

from ops_console.evidence.api import PayoutEvidence, ReportEvidence

urlpatterns = [
    path("ops/evidence/payouts/<str:provider_id>/<path:operation_id>", PayoutEvidence.as_view()),
    path("ops/evidence/reports/<str:artifact_id>", ReportEvidence.as_view()),
]
