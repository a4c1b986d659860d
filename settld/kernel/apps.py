"""The kernel app."""

from django.apps import AppConfig


class KernelConfig(AppConfig):
    """Turning agents' work into settled money."""

    name = "settld.kernel"
    label = "kernel"
    verbose_name = "Kernel"
