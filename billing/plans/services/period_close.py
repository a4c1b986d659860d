"""Closing a billing period: one invoice draft over one view of plan and use (section 7).

Working it out and keeping it are two steps. The first reads everything as of one instant and writes
nothing; the second writes in the caller's transaction, with audit and stored reply. What lies between them
cannot spoil the document: its id follows from its content, so it says only what that instant held.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet

from billing.plans import estimate as pricing
from billing.plans import invoice, queries
from settld.artifacts import services as artifacts
from settld.artifacts.models import Artifact
from settld.audit import services as audit
from settld.core import clock, failpoints, transactions
from settld.core.errors import Invalid
from settld.core.hashing import canonical_hash
from settld.core.principals import Actor
from settld.metering import queries as metering

SCHEMA: Final = "BillingPeriodClose.v1"
INVALID: Final = "invalid billing period-close payload"


@dataclass(frozen=True)
class Request:
    """Which period to close; without a cutoff all of its events count."""

    period: str
    cutoff_at: dt.datetime | None = None
    is_dry_run: bool = False


@dataclass(frozen=True)
class Draft:
    """A close that was worked out; `body` is the artifact without its hash."""

    artifact_id: str
    body: dict[str, Any]


def work_out(*, tenant_id: str, request: Request) -> Draft:
    """Read plan and events as of one instant and write the close down; stores nothing.

    Not inside a transaction: it opens its own. Same plan, events and cutoff give the same bytes.
    Raises Invalid for a cutoff before the period.
    """
    starts_at, ends_at = bounds(request.period)
    if request.cutoff_at is not None and request.cutoff_at < starts_at:
        raise Invalid(INVALID, details={"message": "cutoffAt must not be before the period"})
    with transactions.snapshot():
        config = queries.config(tenant_id=tenant_id)
        events = metering.up_to(tenant_id=tenant_id, period=request.period, cutoff_at=request.cutoff_at)
    times = sorted(event.occurred_at for event in events)
    cutoff_at = request.cutoff_at or (times[-1] if times else ends_at)
    usage, sources = metering.added_up(events), invoice.digest(events)
    plan = config.resolved
    estimate = pricing.price(plan, usage)
    resolved = config.resolved_json()
    identity = {
        "tenantId": tenant_id,
        "period": request.period,
        "cutoffAt": clock.iso(cutoff_at),
        "eventsDigest": sources.hash,
        "plan": resolved,
    }
    artifact_id = f"billing_close_{request.period}_{canonical_hash(identity)[:24]}"
    return Draft(
        artifact_id,
        {
            "schemaVersion": SCHEMA,
            "artifactType": SCHEMA,
            "artifactId": artifact_id,
            "tenantId": tenant_id,
            "period": request.period,
            "cutoffAt": clock.iso(cutoff_at),
            "generatedAt": clock.iso(cutoff_at),
            "inputs": _inputs(times, sources),
            "plan": resolved,
            "usage": pricing.usage_json(usage),
            "estimate": estimate.as_json(),
            "enforcement": pricing.enforcement_json(plan, usage, is_enforced=config.hard_limit_enforced),
            "invoice": invoice.draft(
                period=request.period, cutoff_at=cutoff_at, usage=usage, estimate=estimate, sources=sources
            ),
        },
    )


def keep(
    *, tenant_id: str, request: Request, draft: Draft, actor: Actor, now: dt.datetime
) -> Artifact | None:
    """Store the close, unless it is there or this is a dry run, and audit it; None for a dry run."""
    body = draft.body
    with transactions.joined():
        artifact = None
        if not request.is_dry_run:
            artifact, _ = artifacts.get_or_create(
                tenant_id=tenant_id, artifact_id=draft.artifact_id, artifact_type=SCHEMA, body=body, now=now
            )
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action="BILLING_PERIOD_CLOSE",
            target_type="billing_period",
            target_id=request.period,
            details={
                "period": request.period,
                "dryRun": request.is_dry_run,
                "eventCount": body["inputs"]["eventCount"],
                "eventsDigest": body["inputs"]["eventsDigest"],
                "invoiceTotalEstimatedCents": body["invoice"]["totalEstimatedCents"],
                "artifactHash": artifact.artifact_hash if artifact else None,
            },
            at=now,
        )
        failpoints.hit("period_close.before_commit")
    return artifact


def stored(*, tenant_id: str, period: str | None) -> QuerySet[Artifact]:
    """List the closes that were kept, of one period or of all, newest written first."""
    found = Artifact.objects.filter(tenant_id=tenant_id, artifact_type=SCHEMA)
    if period is not None:
        found = found.filter(period=period)
    return found.order_by("-created_at", "-id")


def bounds(period: str) -> tuple[dt.datetime, dt.datetime]:
    """Give the first instant of a period and the first after it. Raises Invalid beyond the calendar."""
    year, month = int(period[:4]), int(period[5:])
    try:
        starts_at = dt.datetime(year, month, 1, tzinfo=dt.UTC)
        return starts_at, starts_at.replace(year=year + month // 12, month=month % 12 + 1)
    except ValueError as error:
        raise Invalid(INVALID, details={"message": "period is beyond the calendar"}) from error


def _inputs(times: Sequence[dt.datetime], sources: invoice.Digest) -> dict[str, Any]:
    return {
        "eventCount": len(sources.rows),
        "firstOccurredAt": clock.iso(times[0]) if times else None,
        "lastOccurredAt": clock.iso(times[-1]) if times else None,
        "eventsDigest": sources.hash,
    }
