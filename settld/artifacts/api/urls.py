"""Artifact routes."""

from django.urls import path

from settld.artifacts.api.views import ArtifactDetail, ArtifactStatus

urlpatterns = [
    path("artifacts/<str:artifact_id>", ArtifactDetail.as_view()),
    path("artifacts/<str:artifact_id>/status", ArtifactStatus.as_view()),
]
