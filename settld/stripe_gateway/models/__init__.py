"""The inbox's rows."""

from settld.stripe_gateway.models.consumption import StripeEventConsumption
from settld.stripe_gateway.models.event import StripeEvent

__all__ = ["StripeEvent", "StripeEventConsumption"]
