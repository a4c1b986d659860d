"""Waking up to close requested months."""

from celery import shared_task

from settld.closing.services import worker


@shared_task(name="closing.close_requested_months", acks_late=True, ignore_result=True, time_limit=900)
def close_requested_months(*, tenant_id: str | None = None, **_newer_arguments: object) -> None:
    """Carry out requested closes; run twice, or beside itself, it closes each month once."""
    worker.close_requested(tenant_id=tenant_id)
