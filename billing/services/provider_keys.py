"""The key under which leased work writes at the provider: derived from what the row stores (INV-45)."""

import hashlib
import hmac

from django.conf import settings

from billing.models import BillingOutboxJob, Remediation


def of_attempt(row: BillingOutboxJob | Remediation) -> str:
    """Give the key of one attempt at a row's work.

    The number of the attempt is part of it: under one key for all, a failure that the provider saved would
    be repeated to the last attempt. What the work asks for has no effect the second time, so a new key does
    no harm. The secret keeps deployments that share an account apart.
    """
    if isinstance(row, Remediation):
        what = f"{row.provider}|{row.action}|{row.duplicate_provider_subscription_id}"
    else:
        what = f"{row.payload_json.get('provider')}|{row.job_type}|{row.dedupe_key}"
    secret = settings.BILLING.provider_idempotency_key_secret.encode()
    return hmac.new(secret, f"{what}|{row.pk}|{row.attempt_count}".encode(), hashlib.sha256).hexdigest()
