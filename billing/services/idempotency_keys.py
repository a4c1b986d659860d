"""Names of one effect: ours for the operation, the provider's for its request, and what the request covered.

A row keeps the keys it was made with for ever; another secret changes new rows only (section 4).
"""

import hashlib
import hmac
from typing import Any

from django.conf import settings

from billing.states import PROVIDER, Action
from settld.core import hashing


def operation_key(*, action: Action, entity_id: int, client_key: str) -> str:
    """Name the operation that a client's key stands for: 64 hex digits, of no use without our secret."""
    return _hmac(settings.BILLING.operation_key_secret, f"{action.value}|{entity_id}|{client_key}")


def provider_key(*, action: Action, operation_key: str, provider: str = PROVIDER) -> str:
    """Name the operation to the provider; the one idempotency key of all its creating requests."""
    text = f"{provider}|{action.value}|{operation_key}"
    return _hmac(settings.BILLING.provider_idempotency_key_secret, text)


def price_key(provider_idempotency_key: str, *, index: int) -> str:
    """Name the making of the ad-hoc price of a payment link's line, counted from zero."""
    return f"{provider_idempotency_key}:price:{index}"


def fingerprint(normalized: dict[str, Any]) -> str:
    """Hash what a request asks for, its defaults written out, so that equal intents are equal."""
    return hashing.canonical_hash(normalized)


def _hmac(secret: str, text: str) -> str:
    if not secret:
        raise RuntimeError("checkout billing has no secret for its keys; the settings refuse to start so")
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
