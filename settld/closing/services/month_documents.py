"""Keeping which artifact is which document of a month."""

import datetime as dt

from settld.artifacts.services import Sealed
from settld.closing.models import DocumentKind, MonthDocument
from settld.core import ids
from settld.ledger.models import MonthClose


def add(
    *, month: MonthClose, kind: DocumentKind, artifact_id: str, artifact_hash: str, now: dt.datetime
) -> None:
    """Name a document of the month's generation; the same again changes nothing."""
    MonthDocument.objects.bulk_create(
        [
            MonthDocument(
                id=ids.uuid7(),
                tenant_id=month.tenant_id,
                month=month.month,
                basis=month.basis,
                generation=month.generation,
                kind=kind,
                artifact_id=artifact_id,
                artifact_hash=artifact_hash,
                created_at=now,
            )
        ],
        ignore_conflicts=True,
    )


def add_sealed(*, month: MonthClose, kind: DocumentKind, sealed: Sealed, now: dt.datetime) -> None:
    """Name a document that was just stored."""
    add(
        month=month,
        kind=kind,
        artifact_id=sealed.artifact_id,
        artifact_hash=sealed.artifact_hash,
        now=now,
    )


def supersede(*, month: MonthClose, now: dt.datetime) -> None:
    """Retire all documents of the month: it is open again, and nothing reads them any more."""
    MonthDocument.objects.filter(
        tenant_id=month.tenant_id, month=month.month, basis=month.basis, superseded_at__isnull=True
    ).update(superseded_at=now)
