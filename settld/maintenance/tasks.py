"""Beat's ticks: the heartbeat, and retention over all tenants."""

import contextlib

from celery import shared_task

from settld.core import clock
from settld.maintenance import services
from settld.maintenance.services import retention


@shared_task(name="maintenance.heartbeat", acks_late=True, ignore_result=True, time_limit=30)
def heartbeat(**_newer_arguments: object) -> None:
    """Note the tick, so that /healthz and alerts can tell when beat or all workers are gone."""
    services.beat(now=clock.now())


@shared_task(name="maintenance.retention_tick", acks_late=True, ignore_result=True, time_limit=180)
def retention_tick(**_newer_arguments: object) -> None:
    """Delete what has outlived its time; a run by hand that is at work does it for us."""
    with contextlib.suppress(services.MaintenanceAlreadyRunning):
        retention.run_over_all(now=clock.now())
