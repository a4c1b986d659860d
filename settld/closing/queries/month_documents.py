"""The documents of a month's current generation."""

from dataclasses import dataclass
from typing import Any

from django.db import connection

from settld.artifacts import queries as artifacts
from settld.artifacts.models import Artifact
from settld.closing.models import DocumentKind, FinanceAccountMap, FinancePack, MonthDocument
from settld.core.errors import NotFound


class GlBatchNotFound(NotFound):
    """The month has no GL batch of its current generation."""

    message = "GL batch not found"


class FinancePackNotFound(NotFound):
    """The month has no finance pack of its current generation."""

    message = "finance pack not found"


@dataclass(frozen=True, slots=True)
class Named:
    """A document's id and hash."""

    artifact_id: str
    artifact_hash: str


def find(*, tenant_id: str, month: str, kind: DocumentKind, basis: str = "settledAt") -> Named | None:
    """Name a month's current document of a kind; None while the month is open."""
    row = (
        MonthDocument.objects.filter(
            tenant_id=tenant_id, month=month, basis=basis, kind=kind, superseded_at__isnull=True
        )
        .values_list("artifact_id", "artifact_hash")
        .first()
    )
    return Named(*row) if row else None


def gl_batch(*, tenant_id: str, month: str) -> Artifact:
    """Give a month's current GL batch; GlBatchNotFound otherwise."""
    named = find(tenant_id=tenant_id, month=month, kind=DocumentKind.GL_BATCH)
    if named is None:
        raise GlBatchNotFound()
    return artifacts.get(tenant_id=tenant_id, artifact_id=named.artifact_id)


def gl_part_ids(*, tenant_id: str, artifact_id: str) -> list[str]:
    """Name the parts of a very large GL batch in order; none when its lines stand in the batch itself."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT part->>'artifactId' FROM artifact, json_array_elements("
            "coalesce(body::json #> '{batch,parts}', '[]')) WITH ORDINALITY AS listed(part, place)"
            " WHERE tenant_id = %s AND artifact_id = %s ORDER BY place",
            [tenant_id, artifact_id],
        )
        return [row[0] for row in cursor.fetchall()]


def newest_months(*, tenant_id: str, kind: DocumentKind, limit: int) -> list[str]:
    """Name the newest months that have a current document of a kind, newest first."""
    rows = MonthDocument.objects.filter(tenant_id=tenant_id, kind=kind, superseded_at__isnull=True)
    return list(rows.order_by("-month").values_list("month", flat=True)[:limit])


def account_map(*, tenant_id: str) -> FinanceAccountMap | None:
    """Give the tenant's account map, if it has one."""
    return FinanceAccountMap.objects.filter(tenant_id=tenant_id).first()


def finance_pack(*, tenant_id: str, month: str) -> tuple[Artifact, FinancePack]:
    """Give a month's current finance pack with its pointer; FinancePackNotFound otherwise."""
    named = find(tenant_id=tenant_id, month=month, kind=DocumentKind.FINANCE_PACK)
    if named is None:
        raise FinancePackNotFound()
    pointer = artifacts.get(tenant_id=tenant_id, artifact_id=named.artifact_id)
    document: dict[str, Any] = pointer.document
    pack = FinancePack.objects.get(tenant_id=tenant_id, month=month, bundle_hash=document["bundleHash"])
    return pointer, pack
