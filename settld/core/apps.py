"""The core app: it holds the first migration and loads the Celery app."""

from importlib import import_module

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """Common ground."""

    name = "settld.core"
    label = "core"
    verbose_name = "Common ground"

    def ready(self) -> None:
        """Make the Celery app the default one in every process, so that tasks reach the broker."""
        import_module("settld.celery")
