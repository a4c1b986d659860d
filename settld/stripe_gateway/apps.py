"""The app; upper rooms register their consumers from their own AppConfig.ready()."""

from django.apps import AppConfig


class StripeGatewayConfig(AppConfig):
    """Client, inbox, consumers."""

    name = "settld.stripe_gateway"
    label = "stripe_gateway"
    verbose_name = "Stripe gateway"
