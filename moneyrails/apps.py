"""The money rails app."""

from django.apps import AppConfig


class MoneyRailsConfig(AppConfig):
    """Register what the Stripe inbox delivers to us."""

    name = "moneyrails"
    verbose_name = "Money rails"

    def ready(self) -> None:
        """Claim our events of the inbox, and let a stop's lift wait for a second person."""
        from moneyrails.services import approvals, connect_events, disputes, provider_facts, stops

        provider_facts.register()
        disputes.register()
        connect_events.register()
        approvals.register(stops.Lifting())
