"""Read the cases: what is open, how many, a page at a time."""

import datetime as dt
import hashlib
import uuid
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from reconciliation.models import Mismatch, ReconcileReport
from reconciliation.models.mismatch import OPEN
from reconciliation.states import SEVERITY_RANKS, Side


@dataclass(frozen=True)
class Filters:
    """Which cases to show; None leaves a column open to all."""

    period: str | None = None
    provider_id: str | None = None
    source_type: str | None = None
    mismatch_type: str | None = None
    severity: str | None = None
    is_open: bool | None = True


@dataclass(frozen=True)
class Cursor:
    """Where a page ended: the next one begins after it."""

    first_seen_at: dt.datetime
    row_id: uuid.UUID


@dataclass(frozen=True)
class MismatchPage:
    """Some cases, newest first, and where the next page begins (None at the end)."""

    rows: list[Mismatch]
    following: Cursor | None


def matching(*, tenant_id: str, filters: Filters) -> QuerySet[Mismatch]:
    """Select a tenant's cases."""
    rows = Mismatch.objects.filter(tenant_id=tenant_id)
    if filters.is_open is not None:
        rows = rows.filter(OPEN) if filters.is_open else rows.exclude(OPEN)
    wanted = {
        "period": filters.period,
        "provider_id": filters.provider_id,
        "source_type": filters.source_type,
        "mismatch_type": filters.mismatch_type,
        "severity": filters.severity,
    }
    return rows.filter(**{column: value for column, value in wanted.items() if value is not None})


def page(*, tenant_id: str, filters: Filters, after: Cursor | None = None, limit: int = 50) -> MismatchPage:
    """Give one page of cases, newest first; costs the same on the first page and the thousandth."""
    rows = matching(tenant_id=tenant_id, filters=filters)
    if after is not None:
        earlier = Q(first_seen_at=after.first_seen_at, id__lt=after.row_id)
        rows = rows.filter(first_seen_at__lte=after.first_seen_at).filter(
            Q(first_seen_at__lt=after.first_seen_at) | earlier
        )
    found = list(rows.order_by("-first_seen_at", "-id")[: limit + 1])
    following = Cursor(found[limit - 1].first_seen_at, found[limit - 1].id) if len(found) > limit else None
    return MismatchPage(found[:limit], following)


def open_by_severity(*, tenant_id: str) -> dict[str, int]:
    """Count the open cases by severity, a person's before the run's; one without cases is absent."""
    rows = matching(tenant_id=tenant_id, filters=Filters())
    counted = dict(rows.values_list("severity_rank").annotate(count=Count("id")).order_by())
    return {name: counted[rank] for name, rank in SEVERITY_RANKS.items() if rank in counted}


def open_count(*, tenant_id: str) -> int:
    """Count the open cases."""
    return matching(tenant_id=tenant_id, filters=Filters()).count()


def open_up_to(most: int, *, tenant_id: str) -> int:
    """Count the open cases and stop at a number: what the navigation shows on every page stays cheap."""
    return matching(tenant_id=tenant_id, filters=Filters()).order_by()[:most].count()


def of_payout(*, tenant_id: str, operation_id: str) -> list[Mismatch]:
    """Give the cases about an operation, open ones and past ones, newest first; at most 100."""
    subject_hash = hashlib.md5(operation_id.encode(), usedforsecurity=False).hexdigest()
    rows = Mismatch.objects.filter(tenant_id=tenant_id, subject_hash=subject_hash)
    return list(rows.order_by("-first_seen_at", "-id")[:100])


def latest_reports(*, tenant_id: str, limit: int = 10) -> list[ReconcileReport]:
    """Give the reports that the latest runs stored or confirmed."""
    rows = ReconcileReport.objects.filter(tenant_id=tenant_id).exclude(side=Side.FINANCE)
    return list(rows.order_by("-last_run_at", "id")[:limit])
