"""The metering app."""

from django.apps import AppConfig


class MeteringConfig(AppConfig):
    """Billable usage."""

    name = "settld.metering"
    label = "metering"
    verbose_name = "Metering"
