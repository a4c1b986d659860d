"""The inbox's task; it carries no ids, the rows say what is due."""

import os
import socket

from celery import shared_task

from settld.stripe_gateway.services import consumption

BUDGET_SECONDS = 60


@shared_task(name="stripe_gateway.consume_due", acks_late=True, ignore_result=True, time_limit=180)
def consume_due(*, limit: int = 100, **_newer_arguments: object) -> None:
    """Work off due events; run twice, or beside itself, each consumption has one worker at a time."""
    owner = f"{socket.gethostname()}:{os.getpid()}"
    consumption.consume_due(owner=owner, limit=limit, budget_seconds=BUDGET_SECONDS)
