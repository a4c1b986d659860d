"""Effects owed to the provider: owing one, working due ones off (spec/checkout-billing.md 9.1)."""

import contextlib
import datetime as dt
from collections.abc import Callable
from typing import Any, Final

import structlog
from django.conf import settings

from billing.guardrail_codes import Guardrail
from billing.models import BillableEntity, BillingOutboxJob
from billing.providers import base
from billing.providers.errors import ProviderProblem
from billing.services import guardrails, leasing, provider_keys, revival, rows, transactions
from billing.services.leasing import Queue
from billing.states import PROVIDER, JobStatus
from settld.core import failpoints
from settld.core.principals import Actor

log = structlog.get_logger(__name__)

EXPIRE_CHECKOUT_SESSION: Final = "expire_checkout_session"


def enqueue(
    *,
    entity: BillableEntity,
    job_type: str,
    dedupe_key: str,
    payload: dict[str, Any],
    operation_key: str | None = None,
    provider_event_id: str | None = None,
    now: dt.datetime,
) -> None:
    """Owe an effect in the caller's transaction; a key that is known already owes nothing more (INV-40).

    The tenant's scope is entered and, by the order of locks, everything else is locked before. The job
    exists iff the transaction commits; a worker looks every few seconds.
    """
    rows.insert_once(
        BillingOutboxJob(
            tenant_id=entity.tenant_id,
            billable_entity=entity,
            operation_key=operation_key,
            provider_event_id=provider_event_id,
            job_type=job_type,
            dedupe_key=dedupe_key,
            payload_json=payload,
            available_at=now,
        ),
        target=("tenant_id", "job_type", "dedupe_key"),
    )


def enqueue_expire(
    *,
    entity: BillableEntity,
    provider_checkout_session_id: str,
    operation_key: str | None,
    now: dt.datetime,
    provider_event_id: str | None = None,
    provider: str = PROVIDER,
) -> None:
    """Owe the provider's end of a checkout session that must not be completed any more; once per session."""
    enqueue(
        entity=entity,
        job_type=EXPIRE_CHECKOUT_SESSION,
        dedupe_key=f"{EXPIRE_CHECKOUT_SESSION}:{provider_checkout_session_id}",
        payload={"provider": provider, "providerCheckoutSessionId": provider_checkout_session_id},
        operation_key=operation_key,
        provider_event_id=provider_event_id,
        now=now,
    )


# --- Working off --------------------------------------------------------------------------------------
class JobFailed(Exception):
    """A job came to nothing this time; the text is for whoever reads the row."""


class UnknownJobType(JobFailed):
    """Nobody here can do such a job: given up at once, never called done."""


class ProviderMismatch(JobFailed):
    """The job is for another provider than the deployment has."""


def queue() -> Queue[BillingOutboxJob]:
    """Describe the table of jobs, with the deployment's settings."""
    limits = settings.BILLING
    return Queue(
        name="outbox",
        model=BillingOutboxJob,
        working=JobStatus.LEASED,
        due_column="available_at",
        finished_column="finished_at",
        error_column="last_error_text",
        lease_seconds=limits.outbox_lease_seconds,
        retry_delay_seconds=limits.outbox_retry_delay_seconds,
        most_attempts=limits.outbox_max_attempts,
        dead_letter=Guardrail.OUTBOX_DEAD_LETTER,
        fenced=Guardrail.OUTBOX_LEASE_FENCED,
        locks_entity=False,
    )


def tick(*, limit: int = 25) -> int:
    """Work off due jobs, at most `limit`; gives how many were tried. Safe beside itself."""
    jobs = queue()
    return leasing.work_off(jobs, limit=limit, execute=lambda job: execute(jobs, job))


def execute(jobs: Queue[BillingOutboxJob], job: BillingOutboxJob) -> None:
    """Carry out a leased job and close it; a worker that lost its lease stops without a trace."""
    failpoints.hit("billing.outbox.claimed")
    try:
        _carry_out(jobs, job)
        failpoints.hit("billing.outbox.dispatched")
        leasing.finish(jobs, job)
    except leasing.Fenced:
        return
    except Exception as error:
        _put_back(jobs, job, error)
    failpoints.hit("billing.outbox.finished")


def _carry_out(jobs: Queue[BillingOutboxJob], job: BillingOutboxJob) -> None:
    kind = _KINDS.get(job.job_type)
    if kind is None:
        raise UnknownJobType(f"no worker knows jobs of type {job.job_type}")
    kind(jobs, job)


def _put_back(jobs: Queue[BillingOutboxJob], job: BillingOutboxJob, error: Exception) -> None:
    log.warning(
        "billing_outbox_job_failed",
        job_id=job.pk,
        job_type=job.job_type,
        attempt=job.attempt_count,
        **leasing.whom(job),
        exc_info=None if isinstance(error, JobFailed | ProviderProblem) else error,
    )
    if job.job_type == EXPIRE_CHECKOUT_SESSION:
        guardrails.emit(
            Guardrail.ORPHAN_CHECKOUT_SESSION_CLEANUP_FAILURE, **leasing.whom(job), error=type(error).__name__
        )
    with contextlib.suppress(leasing.Fenced):
        leasing.fail(
            jobs,
            job,
            error=f"{type(error).__name__}: {error}",
            retry_after_seconds=error.retry_after_seconds if isinstance(error, ProviderProblem) else None,
            is_hopeless=isinstance(error, UnknownJobType),
        )


# --- expire_checkout_session --------------------------------------------------------------------------
def _expire_session(jobs: Queue[BillingOutboxJob], job: BillingOutboxJob) -> None:
    """End a session at the provider; that it has ended already, either way, is as good.

    One that was completed meanwhile is left to its events: its subscription is projected, and if it is one
    too many, remediated.
    """
    guardrails.emit(Guardrail.ORPHAN_CHECKOUT_SESSION_CLEANUP_ATTEMPT, **leasing.whom(job))
    session_id = _session_of(job)
    provider = base.active()
    status = provider.retrieve_checkout_session(session_id, profile="worker").facts.status
    if status == "open":
        leasing.require_held(jobs, job)
        try:
            status = provider.expire_checkout_session(
                session_id, idempotency_key=provider_keys.of_attempt(job), profile="worker"
            ).facts.status
        except ProviderProblem as problem:
            if not problem.is_rejection:
                raise
            status = provider.retrieve_checkout_session(session_id, profile="worker").facts.status
            if status == "open":
                raise
    if status == "complete":
        guardrails.emit(
            Guardrail.ORPHAN_CHECKOUT_SESSION_COMPLETED,
            **leasing.whom(job),
            provider_checkout_session_id=session_id,
        )


def _session_of(job: BillingOutboxJob) -> str:
    named = job.payload_json.get("provider")
    if named != settings.BILLING.provider:
        guardrails.emit(Guardrail.PROVIDER_MISMATCH, **leasing.whom(job), provider=named)
        raise ProviderMismatch(f"{Guardrail.PROVIDER_MISMATCH}: the job is for {named}")
    session_id = job.payload_json.get("providerCheckoutSessionId")
    if not isinstance(session_id, str) or not session_id:
        raise JobFailed("the job names no checkout session")
    return session_id


_KINDS: Final[dict[str, Callable[[Queue[BillingOutboxJob], BillingOutboxJob], None]]] = {
    EXPIRE_CHECKOUT_SESSION: _expire_session
}


def retry(
    *, tenant_id: str, job_id: int, actor: Actor, now: dt.datetime, reason: str = ""
) -> BillingOutboxJob:
    """Have a job that waits or was given up tried again now, its attempts counted anew; audited.

    Raises WorkNotFound, and NothingToRetry for one that is done or being worked on.
    """

    def work() -> BillingOutboxJob:
        job = BillingOutboxJob.objects.select_for_update(no_key=True, of=("self",)).filter(pk=job_id).first()
        if job is None:
            raise revival.WorkNotFound()
        if not revival.revive(queue(), job, now=now):
            raise revival.NothingToRetry(details={"status": job.status})
        revival.note_retry(
            job,
            action="BILLING_OUTBOX_RETRY",
            target_type="billing_outbox_job",
            actor=actor,
            reason=reason,
        )
        job.refresh_from_db()
        return job

    return transactions.retried(tenant_id=tenant_id, work=work)
