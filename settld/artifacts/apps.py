"""The artifacts app."""

from django.apps import AppConfig


class ArtifactsConfig(AppConfig):
    """Hashed and signed documents."""

    name = "settld.artifacts"
    label = "artifacts"
    verbose_name = "Artifacts"
