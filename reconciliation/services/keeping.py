"""Keep a comparison: its document once, its cases across runs."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from django.db import connection

from reconciliation.models import Mismatch, ReconcileReport
from reconciliation.services.rows import QueueRow
from reconciliation.states import Side, SourceType
from settld.artifacts import queries as artifacts
from settld.artifacts.services import Draft, get_or_create, seal, store_missing
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
_REPEAT: Final = """
UPDATE mismatch SET
  triage_status = decided.status, triage_severity = decided.severity,
  triage_owner = decided.owner_principal_id, triage_revision = decided.revision,
  triage_mismatch_hash = decided.mismatch_hash, resolved_at = decided.resolved_at
FROM reconciliation_triage AS decided
WHERE mismatch.tenant_id = %s AND mismatch.triage_key = ANY(%s)
  AND decided.tenant_id = mismatch.tenant_id AND decided.triage_key = mismatch.triage_key
  AND mismatch.triage_revision <> decided.revision
"""


@dataclass(frozen=True)
class StoredArtifact:
    """The stored document; `deliveries_created` counts the export jobs that storing it made."""

    artifact_id: str
    artifact_hash: str
    deliveries_created: int


@dataclass(frozen=True)
class Document:
    """A report to be kept: what it covers, of which side it speaks, and under which name.

    `core` names period, providerId, status and summary. `body` is the whole document of a report whose
    content decides all of it, its time included; without one the document is made from `core`, at the
    time of the run.
    """

    side: Side
    schema: str
    artifact_id: str
    report_hash: str
    core: dict[str, Any]
    mismatch_count: int
    truncated: dict[str, int]
    body: dict[str, Any] | None = None

    @property
    def source(self) -> SourceType:
        """Name the source of the cases that it leaves."""
        return _SOURCES[self.side]


_SOURCES: Final = {
    Side.BOOKS: SourceType.MONEY_RAILS,
    Side.PROVIDER: SourceType.PROVIDER_STATEMENT,
    Side.FINANCE: SourceType.FINANCE,
}


def statement_subject(provider_id: str) -> str:
    """Name a provider for `lock_subject` when it is its statement that is compared."""
    return f"{provider_id}\nprovider"


def subject_name(*, source_type: str, provider_id: str) -> str:
    """Name for `lock_subject` what the runs compare that find cases of a source."""
    if source_type == SourceType.PROVIDER_STATEMENT:
        return statement_subject(provider_id)
    if source_type in (SourceType.FINANCE, SourceType.INVARIANT):
        return f"\n{source_type}"  # no provider's id begins with a line end
    return provider_id


def lock_subject(*, tenant_id: str, period: str, provider_id: str) -> None:
    """Let one run at a time keep results about a period at a provider."""
    locks.advisory_xact("\n".join(["money_rail_reconcile", tenant_id, period, provider_id]))


def keep(
    *, tenant_id: str, document: Document, queue: Iterable[QueueRow], now: dt.datetime
) -> StoredArtifact:
    """Store the report (the first row with this content wins) and bring the cases up to date."""
    core = document.core
    artifact_hash = _store(tenant_id=tenant_id, document=document, now=now)
    ReconcileReport.objects.bulk_create(
        [
            ReconcileReport(
                tenant_id=tenant_id,
                artifact_id=document.artifact_id,
                artifact_hash=artifact_hash,
                period=core["period"],
                provider_id=core["providerId"],
                side=document.side,
                status=core["status"],
                report_hash=document.report_hash,
                summary=core["summary"],
                mismatch_count=document.mismatch_count,
                created_at=now,
                last_run_at=now,
            )
        ],
        update_conflicts=True,
        unique_fields=["tenant_id", "artifact_id"],
        update_fields=["last_run_at"],
    )
    record(tenant_id=tenant_id, queue=queue, report_hash=document.report_hash, now=now)
    clear_absent(
        tenant_id=tenant_id,
        source=document.source,
        period=core["period"],
        provider_id=core["providerId"],
        report_hash=document.report_hash,
        now=now,
    )
    return StoredArtifact(document.artifact_id, artifact_hash, deliveries_created=0)


def _store(*, tenant_id: str, document: Document, now: dt.datetime) -> str:
    """Store the document once; gives the hash of what stands under its name."""
    core = document.core
    if document.body is not None:
        stored, _ = get_or_create(
            tenant_id=tenant_id,
            artifact_id=document.artifact_id,
            artifact_type=document.schema,
            body=document.body,
            now=now,
        )
        return stored.artifact_hash
    body = {
        "schemaVersion": document.schema,
        "artifactType": document.schema,
        "artifactId": document.artifact_id,
        "tenantId": tenant_id,
        "period": core["period"],
        "providerId": core["providerId"],
        "generatedAt": clock.iso(now),
        "reportHash": document.report_hash,
        "report": core,
    } | ({"truncated": document.truncated} if document.truncated else {})
    # Not get_or_create: a later run's document differs in generatedAt, and the first one stands.
    sealed = seal(Draft(artifact_id=document.artifact_id, artifact_type=document.schema, body=body))
    store_missing(tenant_id=tenant_id, documents=[sealed], now=now)
    return artifacts.get(tenant_id=tenant_id, artifact_id=document.artifact_id).artifact_hash


def record(*, tenant_id: str, queue: Iterable[QueueRow], report_hash: str, now: dt.datetime) -> None:
    """Insert the cases not seen before and renew the others; a returning case is open again.

    Two rows of one report can share an identity (two movements of one operation); they stand side by
    side, and the first stands for both, the report's document holds each. Memory does not follow the queue.
    """
    previous = ""
    rows = iter(queue)
    while batch := list(islice(rows, BATCH)):
        distinct: dict[str, QueueRow] = {}
        for row in batch:
            key = row.triage_key
            if key != previous:
                distinct.setdefault(key, row)
            previous = key
        _record(tenant_id=tenant_id, distinct=distinct, report_hash=report_hash, now=now)


def _record(*, tenant_id: str, distinct: dict[str, QueueRow], report_hash: str, now: dt.datetime) -> None:
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
        update_conflicts=True,
        unique_fields=["tenant_id", "triage_key"],
        update_fields=list(RENEWED),
    )
    repeat_decisions(tenant_id=tenant_id, triage_keys=list(distinct))


def repeat_decisions(*, tenant_id: str, triage_keys: list[str]) -> None:
    """Write onto cases what people decided about them, for the queue that is read by it.

    Called by whoever writes a case and by whoever writes a decision; the locks of the two (the
    subject's, the case's) keep one from missing the other.
    """
    with connection.cursor() as cursor:
        cursor.execute(_REPEAT, [tenant_id, triage_keys])


def clear_absent(
    *,
    tenant_id: str,
    source: SourceType,
    period: str,
    provider_id: str,
    report_hash: str,
    now: dt.datetime,
) -> int:
    """Close the cases of a subject, found by one source, that its newest report no longer holds."""
    gone = Mismatch.objects.filter(
        tenant_id=tenant_id,
        source_type=source,
        period=period,
        provider_id=provider_id,
        cleared_at__isnull=True,
    ).exclude(last_report_hash=report_hash)
    return gone.update(cleared_at=now)


def clear(*, tenant_id: str, triage_keys: list[str], now: dt.datetime) -> int:
    """Close single cases that are no longer found; the caller holds their locks."""
    rows = Mismatch.objects.filter(tenant_id=tenant_id, triage_key__in=triage_keys, cleared_at__isnull=True)
    return rows.update(cleared_at=now)
