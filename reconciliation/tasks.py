"""Beat's ticks of the reconciliation."""

import contextlib

from celery import shared_task

from reconciliation.services import finance_scheduler, monitor_scheduler, scheduler
from settld.maintenance.services import MaintenanceAlreadyRunning


@shared_task(name="reconciliation.money_rails_tick", acks_late=True, ignore_result=True, time_limit=1800)
def money_rails_tick(**_newer_arguments: object) -> None:
    """Reconcile the tenants whose turn it is; a run that is at work does it for us."""
    with contextlib.suppress(MaintenanceAlreadyRunning):
        scheduler.run(scheduler.Order.scheduled())


@shared_task(name="reconciliation.finance_tick", acks_late=True, ignore_result=True, time_limit=1800)
def finance_tick(**_newer_arguments: object) -> None:
    """Reconcile the books of the tenants whose turn it is; a round that is at work does it for us."""
    with contextlib.suppress(MaintenanceAlreadyRunning):
        finance_scheduler.run(finance_scheduler.Order.scheduled())


@shared_task(name="reconciliation.invariants_tick", acks_late=True, ignore_result=True, time_limit=300)
def invariants_tick(**_newer_arguments: object) -> None:
    """Look at the invariants of the tenants whose turn it is; a round that is at work does it for us."""
    with contextlib.suppress(MaintenanceAlreadyRunning):
        monitor_scheduler.run(monitor_scheduler.Order.scheduled())
