"""Exporting a month's GL batch for the tenant's own books (spec/settld-billing-and-finance.md 5.4)."""

import datetime as dt
from collections.abc import Mapping

from django.db import DatabaseError
from prometheus_client import Counter

from settld.artifacts import services as artifacts
from settld.artifacts.services import Sealed
from settld.closing import close_documents, composing
from settld.closing.models import DocumentKind, FinanceAccountMap
from settld.closing.queries import journal_csv, month_documents
from settld.closing.queries.month_documents import GlBatchNotFound
from settld.closing.queries.period_lines import Owner, Sums
from settld.closing.services import account_maps
from settld.core.errors import Conflict
from settld.core.hashing import canonical_hash
from settld.ledger.models import MonthClose
from settld.ledger.queries import StreamProof

BLOCKED = Counter(
    "finance_export_blocked_total", "Closes that wrote no journal CSV, by what stood in the way", ["reason"]
)


class ExportFailed(Conflict):
    """The batch could not be written as CSV; nothing of it was sent."""

    code = "FINANCE_EXPORT_FAILED"
    message = "finance export failed"


class ExportBlocked(Conflict):
    """The map has a gap, and the tenant's policy is to close nothing that cannot be exported."""

    code = "FINANCE_EXPORT_BLOCKED"
    message = "finance export is blocked"


def export(*, tenant_id: str, period: str, basis: str = "settledAt") -> list[str]:
    """Give the whole CSV of a month's current GL batch, in pieces to be sent one after the other.

    Raises GlBatchNotFound, AccountMapRequired, AccountMapMissing, ExportFailed.
    """
    named = month_documents.find(tenant_id=tenant_id, month=period, kind=DocumentKind.GL_BATCH, basis=basis)
    if named is None:
        raise GlBatchNotFound()
    mapping = account_maps.required(tenant_id=tenant_id).mapping
    account_maps.require_complete(
        mapping, journal_csv.account_ids(tenant_id=tenant_id, artifact_id=named.artifact_id)
    )
    try:
        return list(
            journal_csv.pieces(
                tenant_id=tenant_id,
                period=period,
                basis=basis,
                artifact_id=named.artifact_id,
                artifact_hash=named.artifact_hash,
                part_ids=month_documents.gl_part_ids(tenant_id=tenant_id, artifact_id=named.artifact_id),
                accounts=mapping["accounts"],
            )
        )
    except DatabaseError as error:
        raise ExportFailed() from error


def write_at_close(
    *,
    month: MonthClose,
    batch: Sealed,
    is_whole: bool,
    sums: Mapping[Owner, Sums],
    proof: StreamProof,
    generated_at: dt.datetime,
    now: dt.datetime,
) -> Sealed | None:
    """Write the `JournalCsv.v1` of a close, when the tenant's map allows it.

    None without a map, with a gap under `warn`, and for a batch kept in parts, whose CSV is written when it
    is asked for. Raises ExportBlocked for a gap under `strict`.
    """
    found = month_documents.account_map(tenant_id=month.tenant_id)
    if found is None:
        BLOCKED.labels(reason=account_maps.AccountMapRequired.code).inc()
        return None
    gap = account_maps.first_gap(found.mapping, {name for own in sums.values() for name in own.by_account})
    if gap is not None:
        BLOCKED.labels(reason=account_maps.AccountMapMissing.code).inc()
        if account_maps.gate_mode(found.mapping) == account_maps.STRICT:
            raise ExportBlocked(details={"accountId": gap})
        return None
    if not is_whole:
        return None
    sealed = _sealed(month, batch, found, proof, generated_at)
    artifacts.store_one(tenant_id=month.tenant_id, sealed=sealed, now=now)
    return sealed


def _sealed(
    month: MonthClose, batch: Sealed, found: FinanceAccountMap, proof: StreamProof, generated_at: dt.datetime
) -> Sealed:
    csv = "".join(
        journal_csv.pieces(
            tenant_id=month.tenant_id,
            period=month.month,
            basis=month.basis,
            artifact_id=batch.artifact_id,
            artifact_hash=batch.artifact_hash,
            part_ids=[],
            accounts=found.mapping["accounts"],
        )
    )
    name = f"journalcsv_{month.tenant_id}_{month.month}_{proof.source_event_id}"
    body = close_documents.envelope(
        close_documents.JOURNAL_CSV, name, month=month, proof=proof, generated_at=generated_at
    )
    body |= {
        "glBatchArtifactId": batch.artifact_id,
        "glBatchArtifactHash": batch.artifact_hash,
        "accountMapHash": found.mapping_hash,
        "csv": csv,
        "csvSha256": canonical_hash({"csv": csv}),
    }
    return composing.seal(artifact_id=name, artifact_type=close_documents.JOURNAL_CSV, body=body)
