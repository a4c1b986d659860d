"""Waking up to work off the outbox."""

from celery import shared_task

from settld.outbox import services


@shared_task(name="outbox.drain_due", acks_late=True, ignore_result=True, time_limit=900)
def drain_due(*, limit: int = 50, tenant_id: str | None = None, **_newer_arguments: object) -> None:
    """Work off due jobs; run twice, or beside itself, it does each job once."""
    services.drain(limit=limit, tenant_id=tenant_id)
