"""Waking a worker. The rows are the truth: a bell that does not ring makes work late, never lost."""

import structlog
from celery import current_app

from settld.stripe_gateway.metrics import BELLS_LOST

TASK = "stripe_gateway.consume_due"
MESSAGE_SECONDS = 60
log = structlog.get_logger(__name__)


def ring() -> None:
    """Ask a worker to look at the inbox now; never raises, beat looks anyway."""
    try:
        current_app.signature(TASK).apply_async(retry=False, ignore_result=True, expires=MESSAGE_SECONDS)
    except Exception as error:
        BELLS_LOST.inc()
        log.warning("stripe_bell_lost", error=type(error).__name__)
