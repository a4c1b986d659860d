"""The kernel's loop; beat wakes it, an advisory lock in PostgreSQL makes it single."""

import contextlib

from celery import shared_task

from settld.core import clock
from settld.kernel.services import holdback_release
from settld.maintenance.services import MaintenanceAlreadyRunning


@shared_task(name="kernel.release_holds", acks_late=True, ignore_result=True, time_limit=600)
def release_holds(*, limit: int = holdback_release.DEFAULT_LIMIT, **_newer_arguments: object) -> None:
    """Release holds whose challenge window is over; a run by hand that is at work does it for us."""
    with contextlib.suppress(MaintenanceAlreadyRunning):
        holdback_release.run_over_all(now=clock.now(), limit=limit)
