"""Usage tables."""

from settld.metering.models.usage_counter import UsageCounter
from settld.metering.models.usage_event import UsageEvent

__all__ = ["UsageCounter", "UsageEvent"]
