"""Claiming a job and giving it back: every write after the claim names the lease version it holds."""

import datetime as dt
import random

from django.db.models import F, QuerySet

from settld.core import transactions
from settld.outbox import kinds as registry
from settld.outbox import queries
from settld.outbox.models import OutboxJob
from settld.outbox.states import JobStatus

FIRST_DELAY_SECONDS = 2
LONGEST_DELAY_SECONDS = 3600
MOST_ERROR_CHARACTERS = 2000


def claim_next(
    *, tenant_id: str, owner: str, now: dt.datetime, kinds: tuple[str, ...] | None = None
) -> OutboxJob | None:
    """Lease a tenant's oldest due job of a kind that we know; None when nothing is due.

    Two workers never get the same one: the row is locked, and rows that others lock are skipped.
    """
    wanted = registry.known() if kinds is None else kinds
    with transactions.atomic():
        jobs = queries.due(now=now, kinds=wanted).filter(tenant_id=tenant_id)
        job = jobs.order_by("available_at", "pk").select_for_update(skip_locked=True).first()
        if job is None:
            return None
        job.status = JobStatus.LEASED
        job.lease_owner = owner
        job.lease_expires_at = now + registry.get(job.kind).lease
        job.lease_version += 1
        job.attempt_count += 1
        job.save(
            update_fields=["status", "lease_owner", "lease_expires_at", "lease_version", "attempt_count"]
        )
    return job


def finish(job: OutboxJob, *, now: dt.datetime) -> bool:
    """Close the job if our lease still holds; False means another worker has taken it over."""
    return _give_back(job, status=JobStatus.SUCCEEDED, finished_at=now, last_error="")


def renew(job: OutboxJob, *, now: dt.datetime) -> bool:
    """Lengthen our lease during long work; False means it is lost and the work must stop."""
    until = now + registry.get(job.kind).lease
    return _ours(job).update(lease_expires_at=until) == 1


def fail(job: OutboxJob, *, error: str, now: dt.datetime, is_hopeless: bool = False) -> bool:
    """Put the job back for later, or away as a dead letter after its last attempt; False as in finish."""
    error = error.replace("\x00", "")[:MOST_ERROR_CHARACTERS]
    if is_hopeless or job.attempt_count >= registry.get(job.kind).most_attempts:
        return _give_back(job, status=JobStatus.DEAD_LETTER, last_error=error)
    wait = delay_seconds(job.attempt_count)
    return _give_back(
        job, status=JobStatus.FAILED, last_error=error, available_at=now + dt.timedelta(seconds=wait)
    )


def delay_seconds(attempt_count: int) -> float:
    """Tell how long to wait after an attempt: doubling up to an hour, spread by up to a fifth."""
    doubled: int = FIRST_DELAY_SECONDS << min(attempt_count - 1, 20)
    return min(doubled, LONGEST_DELAY_SECONDS) * random.uniform(1.0, 1.2)  # noqa: S311  (spreads load only)


def _ours(job: OutboxJob) -> QuerySet[OutboxJob]:
    return OutboxJob.objects.filter(
        pk=job.pk, tenant_id=job.tenant_id, status=JobStatus.LEASED, lease_version=job.lease_version
    )


def _give_back(job: OutboxJob, **changes: object) -> bool:
    """Compare-and-set: the version grows, so that nobody finishes with this lease a second time."""
    return (
        _ours(job).update(
            lease_expires_at=None, lease_owner="", lease_version=F("lease_version") + 1, **changes
        )
        == 1
    )
