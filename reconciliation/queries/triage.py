"""Read decisions: the overlay of a queue, the list of them, and the history of each."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, QuerySet, Window
from django.db.models.functions import RowNumber

from reconciliation.models import Mismatch, Triage, TriageAction
from reconciliation.models.triage import ACTION_LOG_LENGTH
from reconciliation.states import TriageStatus
from settld.core import clock


@dataclass(frozen=True)
class TriageFilters:
    """Which decisions to list; None leaves a column open to all."""

    period: str | None = None
    status: str | None = None
    source_type: str | None = None
    provider_id: str | None = None


def matching(*, tenant_id: str, filters: TriageFilters) -> QuerySet[Triage]:
    """Select decisions, the latest changed first."""
    wanted = {name: value for name, value in vars(filters).items() if value is not None}
    return Triage.objects.filter(tenant_id=tenant_id, **wanted).order_by("-updated_at", "triage_key")


def status_counts(rows: QuerySet[Triage]) -> dict[str, int]:
    """Count decisions by status, every status present."""
    counted = dict(rows.order_by().values_list("status").annotate(count=Count("id")))
    return {status: counted.get(status, 0) for status in TriageStatus.values}


def overlay(*, tenant_id: str, triage_keys: Iterable[str]) -> dict[str, Triage]:
    """Give the decisions about some cases by triage key; one query."""
    keys = list(triage_keys)
    if not keys:
        return {}
    rows = Triage.objects.filter(tenant_id=tenant_id, triage_key__in=keys)
    return {row.triage_key: row for row in rows}


def live_hashes(*, tenant_id: str, triage_keys: Iterable[str]) -> dict[str, str]:
    """Give what some cases differ in now, hashed, by triage key; a case that is cleared has none."""
    rows = Mismatch.objects.filter(
        tenant_id=tenant_id, triage_key__in=list(triage_keys), cleared_at__isnull=True
    )
    return dict(rows.values_list("triage_key", "mismatch_hash"))


def history(*, tenant_id: str, triage_keys: Iterable[str]) -> dict[str, list[TriageAction]]:
    """Give the newest changes of each decision, newest first; one query."""
    numbered = TriageAction.objects.filter(tenant_id=tenant_id, triage_key__in=list(triage_keys)).annotate(
        place=Window(RowNumber(), partition_by=F("triage_key"), order_by=F("revision").desc())
    )
    found: dict[str, list[TriageAction]] = {}
    for row in numbered.filter(place__lte=ACTION_LOG_LENGTH).order_by("triage_key", "-revision"):
        found.setdefault(row.triage_key, []).append(row)
    return found


def is_drifted(triage: Triage, live_hash: str) -> bool:
    """Tell whether a case differs now from what the decision that closed it saw."""
    return (
        triage.is_decided and bool(triage.mismatch_hash and live_hash) and triage.mismatch_hash != live_hash
    )


def as_overlay(triage: Triage, *, live_hash: str) -> dict[str, Any]:
    """Show a decision beside its case in a queue."""
    return {
        "status": triage.status,
        "ownerPrincipalId": triage.owner_principal_id or None,
        "severity": triage.severity or None,
        "notes": triage.notes or None,
        "revision": triage.revision,
        "updatedAt": clock.iso(triage.updated_at),
        "drifted": is_drifted(triage, live_hash),
    }
