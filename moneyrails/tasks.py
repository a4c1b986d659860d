"""The loop that recovers dispatches; beat wakes it, leases make it single per attempt."""

from celery import shared_task

from moneyrails.services import doubt
from settld.core import clock


@shared_task(name="moneyrails.recover_dispatches", acks_late=True, ignore_result=True, time_limit=600)
def recover_dispatches(*, limit: int = 50, **_newer_arguments: object) -> None:
    """Find out about attempts whose end nobody wrote; run twice, or beside itself, it sends nothing twice."""
    doubt.recover_due(now=clock.now(), limit=limit)
