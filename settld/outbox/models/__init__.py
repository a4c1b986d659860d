"""Outbox jobs."""

from settld.outbox.models.job import OutboxJob

__all__ = ["OutboxJob"]
