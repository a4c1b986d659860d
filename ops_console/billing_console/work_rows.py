"""Rows of work owed to the provider, and of the runs that compare us with it."""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from django.urls import reverse

from billing.models import BillingOutboxJob, ReconciliationRun, Remediation
from billing.queries import operations as queries
from billing.states import JobStatus, RemediationStatus
from ops_console import words
from ops_console.billing_console import next_steps, queue_rows
from ops_console.billing_console.queue_rows import Link, Row, Whose
from ops_console.billing_console.wording import events_href, label, tone
from ops_console.errors import Fact

JOB_RETRIABLE: Final = (JobStatus.PENDING, JobStatus.FAILED, JobStatus.DEAD_LETTER)
REMEDIATION_RETRIABLE: Final = (
    RemediationStatus.PENDING,
    RemediationStatus.FAILED,
    RemediationStatus.DEAD_LETTER,
)


def of_jobs(found: Sequence[BillingOutboxJob], *, now: dt.datetime) -> list[Row]:
    """Shape outbox jobs; two queries for any number of them."""
    whose = queries.entities(row.billable_entity_id for row in found)
    return [_of_job(row, whose, now=now) for row in found]


def _of_job(row: BillingOutboxJob, whose: Whose, *, now: dt.datetime) -> Row:
    story = events_href(operationKey=row.operation_key)
    session_id = row.payload_json.get("providerCheckoutSessionId")
    retry = Link("Retry…", reverse("console:billing-job-retry", args=[row.pk]))
    return Row(
        title=words.label(row.job_type),
        sub=session_id if isinstance(session_id, str) else row.dedupe_key,
        href=story,
        owner=queue_rows.owner_of(row.billable_entity_id, whose),
        status=label(row.status),
        tone="warn" if row.status == JobStatus.FAILED else tone(row.status),
        next_step=next_steps.of_job(row, now=now),
        facts=[
            *queue_rows.code("Operation", words.short(row.operation_key or ""), story),
            *queue_rows.times(("Owed", row.created_at), ("Ended", row.finished_at)),
            Fact("Attempts", str(row.attempt_count)),
        ],
        lease=_worker(row),
        error=row.last_error_text or "",
        acts=[retry] if row.status in JOB_RETRIABLE else [],
    )


def of_remediations(found: Sequence[Remediation], *, now: dt.datetime) -> list[Row]:
    """Shape remediations; two queries for any number of them."""
    whose = queries.entities(row.billable_entity_id for row in found)
    return [_of_remediation(row, whose, now=now) for row in found]


def _of_remediation(row: Remediation, whose: Whose, *, now: dt.datetime) -> Row:
    retry = Link("Retry…", reverse("console:billing-remediation-retry", args=[row.pk]))
    outcome = row.metadata_json.get("outcome")
    return Row(
        title="Cancel duplicate subscription",
        sub=row.duplicate_provider_subscription_id,
        href=events_href(billableEntityId=row.billable_entity_id, source="remediation"),
        owner=queue_rows.owner_of(row.billable_entity_id, whose),
        status=label(row.status),
        tone="warn" if row.status == RemediationStatus.FAILED else tone(row.status),
        next_step=next_steps.of_remediation(row, now=now),
        facts=[
            *queue_rows.code("Survivor", row.canonical_provider_subscription_id),
            *queue_rows.times(("Owed", row.created_at), ("Last attempt", row.last_attempt_at)),
            Fact("Attempts", str(row.attempt_count)),
            *([Fact("Outcome", words.label(str(outcome)))] if outcome else []),
        ],
        lease=_worker(row),
        error=row.error_text or "",
        advice=str(row.metadata_json.get("note") or ""),
        acts=[retry] if row.status in REMEDIATION_RETRIABLE else [],
    )


def _worker(row: BillingOutboxJob | Remediation) -> str:
    if not row.lease_owner or row.lease_expires_at is None:
        return ""
    return f"{row.lease_owner} until {words.moment(row.lease_expires_at)[11:]}"


def of_run(run: ReconciliationRun, *, now: dt.datetime) -> Row:
    """Shape one reconciliation run."""
    figures = run.summary_json or {}
    is_stuck = run.status == "running" and run.lease_expires_at is not None and run.lease_expires_at <= now
    next_step = "" if run.status != "running" else f"At work; its lease ends {_at(run)}."
    if is_stuck:
        next_step = "Its process is gone; the next run of this scope takes it over where it stood."
    elif run.cursor_json is not None and run.status != "running":
        next_step = "Stopped before all rows were seen; the next run goes on from there."
    return Row(
        title=run.scope,
        sub=run.runner_id,
        href="",
        owner=Link("", ""),
        status=label(run.status),
        tone="warn" if is_stuck else tone(run.status),
        next_step=next_step,
        facts=[
            *queue_rows.times(("Began", run.started_at), ("Ended", run.finished_at)),
            Fact("Looked at", f"{run.scanned_count:,}"),
            Fact("Differed", f"{run.drift_detected_count:,}"),
            Fact("Repaired", f"{run.repaired_count:,}"),
            *([Fact("Failed", f"{figures['failed']:,}")] if figures.get("failed") else []),
        ],
        error=run.error_text or "",
    )


def _at(run: ReconciliationRun) -> str:
    return f"at {words.moment(run.lease_expires_at)[11:]}" if run.lease_expires_at else "by itself"
