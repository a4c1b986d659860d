"""The checkout billing app."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Subscriptions sold over a provider's checkout, recovered from whatever may happen on the way."""

    name = "billing"
    label = "billing"
    verbose_name = "Billing"
