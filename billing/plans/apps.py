"""The plans app."""

from django.apps import AppConfig


class PlansConfig(AppConfig):
    """Tenant plans."""

    name = "billing.plans"
    label = "plans"
    verbose_name = "Plans"
