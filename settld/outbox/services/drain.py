"""Working off due jobs."""

import datetime as dt
import os
import socket
import time

import structlog

from settld.core import clock, tenancy
from settld.outbox import kinds as registry
from settld.outbox import queries
from settld.outbox.models import OutboxJob
from settld.outbox.services import leases

log = structlog.get_logger(__name__)
ROUNDS = 1000


def drain(
    *,
    limit: int = 50,
    tenant_id: str | None = None,
    kinds: tuple[str, ...] | None = None,
    most_seconds: float = 60,
    now: dt.datetime | None = None,
) -> int:
    """Work off due jobs of one tenant or of all, a job of each tenant in turn; gives how many were tried.

    Bounded by jobs and by time; run twice, or beside itself, it does each job once. `now` stands in
    for the database's clock.
    """
    deadline = time.monotonic() + most_seconds
    wanted = registry.known() if kinds is None else kinds
    instant = now or clock.db_now()
    tenants = [tenant_id] if tenant_id else queries.tenants_with_due_jobs(now=instant, kinds=wanted)
    done = 0
    for _ in range(ROUNDS):
        busy = []
        for tenant in tenants:
            if done >= limit or time.monotonic() > deadline:
                return done
            if _work_one(tenant_id=tenant, kinds=wanted, now=now):
                busy.append(tenant)
                done += 1
        tenants = busy
        if not tenants:
            return done
    return done


def _work_one(*, tenant_id: str, kinds: tuple[str, ...], now: dt.datetime | None) -> bool:
    with tenancy.tenant_scope(tenant_id):
        job = leases.claim_next(
            tenant_id=tenant_id, owner=worker_name(), now=now or clock.db_now(), kinds=kinds
        )
        if job is None:
            return False
        execute(job, now=now)
        return True


def execute(job: OutboxJob, *, now: dt.datetime | None = None) -> bool:
    """Carry out a leased job and close it; False when it failed or the lease was lost meanwhile."""
    try:
        registry.get(job.kind).handler(job)
    except Exception as error:
        is_hopeless = isinstance(error, registry.GiveUp)
        log.warning("outbox_job_failed", kind=job.kind, job_id=str(job.pk), exc_info=not is_hopeless)
        text = f"{type(error).__name__}: {error}"
        leases.fail(job, error=text, now=now or clock.db_now(), is_hopeless=is_hopeless)
        return False
    is_ours = leases.finish(job, now=now or clock.db_now())
    if not is_ours:
        log.warning("outbox_lease_lost", kind=job.kind, job_id=str(job.pk))
    return is_ours


def worker_name() -> str:
    """Name this process, for people who look at leases."""
    return f"{socket.gethostname()}:{os.getpid()}"[:200]
