"""How patient a call is: someone waits for a request's call, nobody for a worker's."""

import dataclasses
from typing import Literal

from django.conf import settings

from settld.settings_billing import Billing
from settld.settings_parsing import Stripe

Profile = Literal["request", "worker"]


def shaped(profile: Profile) -> Stripe:
    """Give the client's settings with the profile's limit of time and number of sends."""
    billing: Billing = settings.BILLING
    if profile == "worker":
        timeout_ms, retries = billing.worker_timeout_ms, billing.worker_max_network_retries
    else:
        timeout_ms, retries = billing.stripe_timeout_ms, billing.stripe_max_network_retries
    return dataclasses.replace(settings.STRIPE, total_timeout_ms=timeout_ms, retry_max_attempts=1 + retries)
