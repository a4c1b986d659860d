"""The checkout billing app."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Subscriptions sold over a provider's checkout, recovered from whatever may happen on the way."""

    name = "billing"
    label = "billing"
    verbose_name = "Billing"

    def ready(self) -> None:
        """Register the system checks, claim our events of the inbox, and answer for the payouts of a plan."""
        from billing import checks  # noqa: F401
        from billing.services import payout_limit, webhooks

        webhooks.register()
        payout_limit.register()
