"""Beat's tick of the reconciliation."""

import contextlib

from celery import shared_task

from reconciliation.services import scheduler
from settld.maintenance.services import MaintenanceAlreadyRunning


@shared_task(name="reconciliation.money_rails_tick", acks_late=True, ignore_result=True, time_limit=1800)
def money_rails_tick(**_newer_arguments: object) -> None:
    """Reconcile the tenants whose turn it is; a run that is at work does it for us."""
    with contextlib.suppress(MaintenanceAlreadyRunning):
        scheduler.run(scheduler.Order.scheduled())
