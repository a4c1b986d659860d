"""Purging replies that have expired."""

from celery import shared_task

from settld.idempotency.services import purge as purging


@shared_task(name="idempotency.purge_expired", acks_late=True, ignore_result=True, time_limit=120)
def purge_expired(**_newer_arguments: object) -> None:
    """Drop expired replies, tenant by tenant, in bounded batches."""
    purging.purge_expired()
