"""The daily checkpoint."""

from celery import shared_task

from settld.audit.services import checkpoints
from settld.core import clock


@shared_task(name="audit.sign_checkpoints", acks_late=True, ignore_result=True, time_limit=300)
def sign_checkpoints(**_newer_arguments: object) -> None:
    """Sign what is due; run twice, it signs once."""
    checkpoints.sign_due(now=clock.now())
