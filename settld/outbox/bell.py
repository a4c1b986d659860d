"""Waking a worker after the commit; the row is the work, the message only saves waiting for beat."""

import time
from typing import Any

import structlog
from celery import current_app
from django.db import transaction

log = structlog.get_logger(__name__)
QUIET_SECONDS = 5.0

_quiet_until = 0.0


def ring_on_commit(task: str = "outbox.drain_due", **arguments: Any) -> None:
    """Send a task by name once the open transaction has committed.

    A broker that is away costs nothing but time: beat wakes the same task, and the failure is only
    logged. After one failure nobody tries for five seconds, so that requests stay quick meanwhile.
    """
    transaction.on_commit(lambda: _ring(task, arguments), robust=True)


def _ring(task: str, arguments: dict[str, Any]) -> None:
    global _quiet_until
    if time.monotonic() < _quiet_until:
        return
    try:
        current_app.send_task(task, kwargs=arguments, ignore_result=True, retry=False)
    except Exception as error:
        _quiet_until = time.monotonic() + QUIET_SECONDS
        log.warning("bell_not_rung", task=task, reason=type(error).__name__)
