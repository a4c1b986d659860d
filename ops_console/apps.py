"""The console app."""

from django.apps import AppConfig


class OpsConsoleConfig(AppConfig):
    """Pages for people; no models."""

    name = "ops_console"
    label = "ops_console"
    verbose_name = "Operations console"
