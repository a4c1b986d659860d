"""Stored replies."""

from settld.idempotency.models.record import IdempotencyRecord

__all__ = ["IdempotencyRecord"]
