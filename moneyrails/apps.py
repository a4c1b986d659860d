"""The money rails app."""

from django.apps import AppConfig


class MoneyRailsConfig(AppConfig):
    """Register what the Stripe inbox delivers to us."""

    name = "moneyrails"
    verbose_name = "Money rails"

    def ready(self) -> None:
        """Claim the inbox's transfer events."""
        from moneyrails.services import provider_facts

        provider_facts.register()
