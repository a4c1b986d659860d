"""Keep a comparison: its document once, its cases across runs."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from reconciliation.models import Mismatch, ReconcileReport
from reconciliation.services.rows import QueueRow
from reconciliation.states import REPORT_SCHEMA, SourceType
from settld.artifacts import queries as artifacts
from settld.artifacts.services import Draft, seal, store_missing
from settld.core import clock, locks

BATCH: Final = 1000
# What a later sighting renews; first_seen_at and a person's decision are not among them.
RENEWED: Final = (
    "mismatch_code",
    "severity",
    "details",
    "mismatch_hash",
    "last_report_hash",
    "last_seen_at",
    "cleared_at",
)


@dataclass(frozen=True)
class StoredArtifact:
    """The stored document; `deliveries_created` counts the export jobs that storing it made."""

    artifact_id: str
    artifact_hash: str
    deliveries_created: int


def lock_subject(*, tenant_id: str, period: str, provider_id: str) -> None:
    """Let one run at a time keep results about a period at a provider."""
    locks.advisory_xact("\n".join(["money_rail_reconcile", tenant_id, period, provider_id]))


def keep(
    *,
    tenant_id: str,
    artifact_id: str,
    report_hash: str,
    core: dict[str, Any],
    queue: list[QueueRow],
    now: dt.datetime,
) -> StoredArtifact:
    """Store the report (the first row with this content wins) and bring the cases up to date."""
    body = {
        "schemaVersion": REPORT_SCHEMA,
        "artifactType": REPORT_SCHEMA,
        "artifactId": artifact_id,
        "tenantId": tenant_id,
        "period": core["period"],
        "providerId": core["providerId"],
        "generatedAt": clock.iso(now),
        "reportHash": report_hash,
        "report": core,
    }
    # Not get_or_create: a later run's document differs in generatedAt, and the first one stands.
    document = seal(Draft(artifact_id=artifact_id, artifact_type=REPORT_SCHEMA, body=body))
    store_missing(tenant_id=tenant_id, documents=[document], now=now)
    artifact = artifacts.get(tenant_id=tenant_id, artifact_id=artifact_id)
    ReconcileReport.objects.bulk_create(
        [
            ReconcileReport(
                tenant_id=tenant_id,
                artifact_id=artifact_id,
                artifact_hash=artifact.artifact_hash,
                period=core["period"],
                provider_id=core["providerId"],
                status=core["status"],
                report_hash=report_hash,
                summary=core["summary"],
                created_at=now,
                last_run_at=now,
            )
        ],
        update_conflicts=True,
        unique_fields=["tenant_id", "artifact_id"],
        update_fields=["last_run_at"],
    )
    record(tenant_id=tenant_id, queue=queue, report_hash=report_hash, now=now)
    clear_absent(
        tenant_id=tenant_id,
        period=core["period"],
        provider_id=core["providerId"],
        report_hash=report_hash,
        now=now,
    )
    return StoredArtifact(artifact_id, artifact.artifact_hash, deliveries_created=0)


def record(*, tenant_id: str, queue: list[QueueRow], report_hash: str, now: dt.datetime) -> None:
    """Insert the cases not seen before and renew the others; a returning case is open again.

    Two rows of one report can share an identity (two movements of one operation): the first stands
    for both, the report's document holds each.
    """
    distinct = {row.triage_key: row for row in reversed(queue)}
    Mismatch.objects.bulk_create(
        [
            Mismatch(
                tenant_id=tenant_id,
                triage_key=triage_key,
                source_type=row.source_type,
                period=row.period,
                provider_id=row.provider_id,
                mismatch_type=row.kind.mismatch_type,
                mismatch_key=row.mismatch_key,
                mismatch_code=row.kind.mismatch_code,
                severity=row.kind.severity,
                details=row.details,
                mismatch_hash=row.mismatch_hash,
                last_report_hash=report_hash,
                first_seen_at=now,
                last_seen_at=now,
            )
            for triage_key, row in sorted(distinct.items())
        ],
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["tenant_id", "triage_key"],
        update_fields=list(RENEWED),
    )


def clear_absent(*, tenant_id: str, period: str, provider_id: str, report_hash: str, now: dt.datetime) -> int:
    """Close the rail cases of a subject that its newest report no longer holds."""
    gone = Mismatch.objects.filter(
        tenant_id=tenant_id,
        source_type=SourceType.MONEY_RAILS,
        period=period,
        provider_id=provider_id,
        cleared_at__isnull=True,
    ).exclude(last_report_hash=report_hash)
    return gone.update(cleared_at=now)
