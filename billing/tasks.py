"""Beat's ticks (spec/checkout-billing.md 9.2): each does what the rows say is due, and is safe beside itself.

Beat and the broker only wake workers. While billing is off none of them does anything.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from celery import shared_task
from django.conf import settings

from billing import clock
from billing.services import (
    gauges,
    limits,
    outbox,
    reconciliation,
    recovery,
    remediation_work,
    retention,
)
from billing.states import Scope

Work = Callable[..., None]


def _when_enabled(work: Work) -> Work:
    @wraps(work)
    def guarded(*args: Any, **options: Any) -> None:
        if settings.BILLING.enabled:
            work(*args, **options)

    return guarded


@shared_task(name="billing.outbox_tick", acks_late=True, ignore_result=True, time_limit=600)
@_when_enabled
def outbox_tick(*, limit: int = 25, **_newer_arguments: object) -> None:
    """Work off effects owed to the provider."""
    outbox.tick(limit=limit)


@shared_task(name="billing.remediation_tick", acks_late=True, ignore_result=True, time_limit=600)
@_when_enabled
def remediation_tick(*, limit: int = 10, **_newer_arguments: object) -> None:
    """Cancel duplicate subscriptions that are owed to be."""
    remediation_work.tick(limit=limit)


@shared_task(name="billing.recover_pending", acks_late=True, ignore_result=True, time_limit=900)
@_when_enabled
def recover_pending(*, limit: int = 50, **_newer_arguments: object) -> None:
    """Find out about requests whose lease ran out, of all actions."""
    recovery.recover_pending(limit)


@shared_task(name="billing.gauges", acks_late=True, ignore_result=True, time_limit=60)
@_when_enabled
def measure_gauges(**_newer_arguments: object) -> None:
    """Measure what waits too long, and give unconfirmed reservations back."""
    gauges.measure()
    limits.release_stale(now=clock.now())


@shared_task(name="billing.reconcile", acks_late=True, ignore_result=True, time_limit=3600)
@_when_enabled
def reconcile(*, scope: str, limit: int | None = None, **_newer_arguments: object) -> None:
    """Run one scope; while another run of it is at work this one is skipped."""
    reconciliation.run(Scope(scope), limit=limit)


@shared_task(name="billing.reconcile_due", acks_late=True, ignore_result=True, time_limit=3600)
@_when_enabled
def reconcile_due(**_newer_arguments: object) -> None:
    """Go on with scopes whose last run stopped early or died, and run those that beat has missed."""
    for scope in reconciliation.due(now=clock.now()):
        reconciliation.run(scope)


@shared_task(name="billing.retention", acks_late=True, ignore_result=True, time_limit=3600)
@_when_enabled
def run_retention(**_newer_arguments: object) -> None:
    """Delete what has outlived its time, once a day whatever becomes of beat."""
    retention.run_daily()
