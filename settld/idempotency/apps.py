"""The idempotency app."""

from django.apps import AppConfig


class IdempotencyConfig(AppConfig):
    """Stored replies by the caller's key."""

    name = "settld.idempotency"
    label = "idempotency"
    verbose_name = "Idempotency"
