"""The loops of the rails; beat wakes them, leases and an advisory lock in PostgreSQL make them single."""

from celery import shared_task

from moneyrails.services import approvals, connect_rounds, doubt
from settld.core import clock

CONNECT_BUDGET_SECONDS = 45.0


@shared_task(name="moneyrails.recover_dispatches", acks_late=True, ignore_result=True, time_limit=600)
def recover_dispatches(*, limit: int = 50, **_newer_arguments: object) -> None:
    """Find out about attempts whose end nobody wrote; run twice, or beside itself, it sends nothing twice."""
    doubt.recover_due(now=clock.now(), limit=limit)


@shared_task(name="moneyrails.sync_connect_accounts", acks_late=True, ignore_result=True, time_limit=300)
def sync_connect_accounts(*, limit: int = 200, **_newer_arguments: object) -> None:
    """Bring stale Connect accounts up to date; beside itself, the second does nothing."""
    connect_rounds.sync_stale(limit=limit, budget_seconds=CONNECT_BUDGET_SECONDS)


@shared_task(name="moneyrails.expire_approvals", acks_late=True, ignore_result=True, time_limit=120)
def expire_approvals(*, limit: int = 100, **_newer_arguments: object) -> None:
    """End the changes whose second person did not come in time; run twice, it ends each once."""
    approvals.expire_due(now=clock.now(), limit=limit)
