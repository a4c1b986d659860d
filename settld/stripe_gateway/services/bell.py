"""Waking a worker. The rows are the truth: a bell that does not ring makes work late, never lost."""

import time

import structlog
from celery import current_app

from settld.stripe_gateway.metrics import BELLS_LOST

TASK = "stripe_gateway.consume_due"
MESSAGE_SECONDS = 60
QUIET_SECONDS = 5.0
log = structlog.get_logger(__name__)

_quiet_until = 0.0


def ring() -> None:
    """Ask a worker to look at the inbox now; never raises, beat looks anyway.

    After a failure nobody tries for five seconds, so that Stripe's deliveries are answered quickly.
    """
    global _quiet_until
    if time.monotonic() < _quiet_until:
        return
    try:
        current_app.signature(TASK).apply_async(retry=False, ignore_result=True, expires=MESSAGE_SECONDS)
    except Exception as error:
        _quiet_until = time.monotonic() + QUIET_SECONDS
        BELLS_LOST.inc()
        log.warning("stripe_bell_lost", error=type(error).__name__)
