"""The heartbeat: a tick of beat that reached a worker."""

from celery import shared_task

from settld.core import clock
from settld.maintenance import services


@shared_task(name="maintenance.heartbeat", acks_late=True, ignore_result=True, time_limit=30)
def heartbeat(**_newer_arguments: object) -> None:
    """Note the tick, so that /healthz and alerts can tell when beat or all workers are gone."""
    services.beat(now=clock.now())
