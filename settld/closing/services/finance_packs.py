"""The finance pack: one zip with all that an auditor needs to check a month (finance spec 5.4)."""

import datetime as dt
import io
import zipfile
from collections.abc import Mapping
from typing import Any, Final

from settld.artifacts import queries as artifact_queries
from settld.artifacts import services as artifacts
from settld.artifacts.models import Artifact
from settld.artifacts.services import Draft
from settld.closing import close_documents, comparison
from settld.closing.models import DocumentKind, FinancePack
from settld.closing.queries import current
from settld.closing.queries import month_documents as known
from settld.closing.services import month_documents
from settld.core import canonical_json, clock, failpoints, ids, transactions
from settld.core.hashing import canonical_hash, sha256_hex
from settld.ledger import queries as ledger
from settld.ledger.models import MonthClose
from settld.ledger.services import months
from settld.outbox.kinds import GiveUp
from settld.outbox.models import OutboxJob

_ZIP_STARTS: Final = 1980


def carry_out(job: OutboxJob) -> None:
    """Build the pack that a job names; builds none where it is not due, and none twice."""
    month, basis = job.payload.get("month"), job.payload.get("basis")
    if not isinstance(month, str) or not isinstance(basis, str):
        raise GiveUp("the job names no month")
    build(tenant_id=job.tenant_id, month=month, basis=basis, now=clock.now())


def build(*, tenant_id: str, month: str, basis: str = "settledAt", now: dt.datetime) -> Artifact | None:
    """Build a closed month's finance pack, and give its pointer.

    None when the month is open, was closed without a journal CSV, has a GL batch kept in parts, or does not
    reconcile. A second run gives the same pointer.
    """
    with transactions.atomic():
        row = months.lock_shared(tenant_id=tenant_id, month=month, basis=basis, now=now)
        batch = _document(row, DocumentKind.GL_BATCH)
        csv = _document(row, DocumentKind.JOURNAL_CSV)
        if not row.is_closed or batch is None or csv is None or "parts" in batch["batch"]:
            return None
        statements = _statements(row)
        report = comparison.reconcile(batch, statements)
        if not statements or not report["ok"]:
            return None
        pointer, content = _packed(row, batch, csv, statements, report)
        FinancePack.objects.bulk_create(
            [
                FinancePack(
                    id=ids.uuid7(),
                    tenant_id=tenant_id,
                    month=month,
                    bundle_hash=pointer.body["bundleHash"],
                    content=content,
                    byte_count=len(content),
                    created_at=now,
                )
            ],
            ignore_conflicts=True,
        )
        stored, _ = artifacts.get_or_create(
            tenant_id=tenant_id,
            artifact_id=pointer.artifact_id,
            artifact_type=pointer.artifact_type,
            body=pointer.body,
            now=now,
        )
        month_documents.add(
            month=row,
            kind=DocumentKind.FINANCE_PACK,
            artifact_id=stored.artifact_id,
            artifact_hash=stored.artifact_hash,
            now=now,
        )
        failpoints.hit("finance_pack.before_commit")
    failpoints.hit("finance_pack.after_commit")
    return stored


def _document(row: MonthClose, kind: DocumentKind) -> dict[str, Any] | None:
    named = known.find(tenant_id=row.tenant_id, month=row.month, kind=kind, basis=row.basis)
    if named is None:
        return None
    return artifact_queries.get(tenant_id=row.tenant_id, artifact_id=named.artifact_id).document


def _statements(row: MonthClose) -> list[dict[str, Any]]:
    names = current(tenant_id=row.tenant_id).filter(period=row.month, basis=row.basis).values("artifact_id")
    found = Artifact.objects.filter(tenant_id=row.tenant_id, artifact_id__in=names).order_by("artifact_id")
    return [artifact.document for artifact in found.iterator(chunk_size=100)]


def _packed(
    row: MonthClose,
    batch: Mapping[str, Any],
    csv: Mapping[str, Any],
    statements: list[dict[str, Any]],
    report: dict[str, Any],
) -> tuple[Draft, bytes]:
    events = [event.as_json() for event in ledger.events(tenant_id=row.tenant_id, stream_id=row.stream_id)]
    inputs = {
        "glBatchArtifactId": batch["artifactId"],
        "glBatchArtifactHash": batch["artifactHash"],
        "journalCsvArtifactId": csv["artifactId"],
        "journalCsvArtifactHash": csv["artifactHash"],
        "partyStatementArtifactHashes": sorted(one["artifactHash"] for one in statements),
        "reportHash": sha256_hex(canonical_json.dumps(report) + b"\n"),
    }
    generated_at = str(batch["generatedAt"])
    files = _files(row, batch, csv, report, events, inputs, generated_at)
    content = zipped(files, at=clock.parse_iso(generated_at))
    bundle_hash = sha256_hex(content)
    name = f"finance_pack_{row.tenant_id}_{row.month}_{bundle_hash}"
    body = {
        "schemaVersion": close_documents.FINANCE_PACK,
        "artifactType": close_documents.FINANCE_PACK,
        "artifactId": name,
        "generatedAt": generated_at,
        "tenantId": row.tenant_id,
        "period": row.month,
        "basis": row.basis,
        "bundleHash": bundle_hash,
        "byteCount": len(content),
        "inputs": inputs,
        "evidenceRef": f"obj://finance-pack/{row.month}/{bundle_hash}.zip",
        "eventProof": batch["eventProof"],
        "sourceEventId": batch["sourceEventId"],
        "atChainHash": batch["atChainHash"],
    }
    return Draft(artifact_id=name, artifact_type=close_documents.FINANCE_PACK, body=body), content


def _files(
    row: MonthClose,
    batch: Mapping[str, Any],
    csv: Mapping[str, Any],
    report: dict[str, Any],
    events: list[dict[str, Any]],
    inputs: dict[str, Any],
    generated_at: str,
) -> dict[str, bytes]:
    chain = ledger.verify_chain(tenant_id=row.tenant_id, stream_id=row.stream_id)
    checked = {
        "schemaVersion": "FinancePackVerification.v1",
        "ok": chain.ok and report["ok"],
        "eventChain": {"ok": chain.ok, "eventCount": chain.event_count},
        "reconcile": report,
        "inputs": inputs,
    }
    files = {
        "settld.json": canonical_json.dumps(
            {
                "schemaVersion": "FinancePack.v1",
                "tenantId": row.tenant_id,
                "period": row.month,
                "basis": row.basis,
                "generatedAt": generated_at,
            }
        ),
        "finance/GLBatch.v1.json": canonical_json.dumps(dict(batch)),
        "finance/JournalCsv.v1.json": canonical_json.dumps(dict(csv)),
        "finance/JournalCsv.v1.csv": str(csv["csv"]).encode(),
        "finance/reconcile.json": canonical_json.dumps(report),
        "month/events/events.jsonl": b"".join(canonical_json.dumps(event) + b"\n" for event in events),
        "verify/verification_report.json": canonical_json.dumps(checked),
    }
    listed = [
        {"path": path, "sha256": sha256_hex(content), "byteCount": len(content)}
        for path, content in sorted(files.items())
    ]
    manifest = {"schemaVersion": "FinancePackManifest.v1", "files": listed}
    manifest["manifestHash"] = canonical_hash(manifest)
    return files | {"manifest.json": canonical_json.dumps(manifest)}


def zipped(files: Mapping[str, bytes], *, at: dt.datetime) -> bytes:
    """Pack files, stored and in the order of their paths: same files and same time, same bytes."""
    target = io.BytesIO()
    stamp = at.astimezone(dt.UTC)
    date_time = (max(stamp.year, _ZIP_STARTS), stamp.month, stamp.day, stamp.hour, stamp.minute, stamp.second)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, date_time=date_time)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, files[path])
    return target.getvalue()
