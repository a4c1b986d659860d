"""Reading what is owed."""

import datetime as dt
from typing import Any

from django.db import DatabaseError
from django.db.models import Count, Min, Q, QuerySet

from settld.core import tenancy
from settld.outbox.models import OutboxJob
from settld.outbox.states import DUE, OPEN, JobStatus


def due(*, now: dt.datetime, kinds: tuple[str, ...] | None = None) -> QuerySet[OutboxJob]:
    """List jobs whose time has come, and those whose worker let the lease run out."""
    waiting = Q(status__in=DUE, available_at__lte=now)
    abandoned = Q(status=JobStatus.LEASED, lease_expires_at__lte=now)
    jobs = OutboxJob.objects.filter(waiting | abandoned)
    return jobs if kinds is None else jobs.filter(kind__in=kinds)


def tenants_with_due_jobs(
    *, now: dt.datetime, most: int = 100, kinds: tuple[str, ...] | None = None
) -> list[str]:
    """Name the tenants that have due jobs, longest waiting first; a platform-wide read."""
    with tenancy.platform_scope(reason="outbox: find tenants with due jobs"):
        waiting = due(now=now, kinds=kinds).values("tenant_id").annotate(since=Min("available_at"))
        return [row["tenant_id"] for row in waiting.order_by("since", "tenant_id")[:most]]


def open_by_kind(*, tenant_id: str) -> dict[str, int]:
    """Count a tenant's open jobs, by kind."""
    return _counted(tenant_id=tenant_id, statuses=OPEN)


def dead_by_kind(*, tenant_id: str) -> dict[str, int]:
    """Count a tenant's dead letters, by kind."""
    return _counted(tenant_id=tenant_id, statuses=(JobStatus.DEAD_LETTER,))


def health_detail() -> dict[str, Any]:
    """Count open jobs over all tenants; None when the database does not say."""
    try:
        with tenancy.platform_scope(reason="healthz: count the outbox"):
            return {"outboxPending": OutboxJob.objects.filter(status__in=OPEN).count()}
    except DatabaseError:
        return {"outboxPending": None}


def _counted(*, tenant_id: str, statuses: tuple[JobStatus, ...]) -> dict[str, int]:
    jobs = OutboxJob.objects.filter(tenant_id=tenant_id, status__in=statuses)
    rows = jobs.values_list("kind").annotate(count=Count("pk")).order_by("kind")
    return dict(rows)
