"""The money rails app."""

from django.apps import AppConfig


class MoneyRailsConfig(AppConfig):
    """Register what the Stripe inbox delivers to us."""

    name = "moneyrails"
    verbose_name = "Money rails"

    def ready(self) -> None:
        """Claim our events of the inbox, let a stop's lift wait for a second person, and answer closing."""
        from moneyrails.queries import payouts_made as answer
        from moneyrails.services import approvals, connect_events, disputes, provider_facts, stops
        from settld.closing import payouts_made

        provider_facts.register()
        disputes.register()
        connect_events.register()
        approvals.register(stops.Lifting())
        payouts_made.register(answer.live_payouts)
