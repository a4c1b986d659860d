"""Reading the chain."""

import datetime as dt
from dataclasses import dataclass

from django.db.models import QuerySet

from settld.audit.models import OpsAudit


@dataclass(frozen=True)
class AuditFilter:
    """What a reader is looking for; None means any."""

    action: str | None = None
    target_type: str | None = None
    target_id: str | None = None
    request_id: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    before_id: int | None = None


def newest(*, tenant_id: str, wanted: AuditFilter) -> QuerySet[OpsAudit]:
    """List a tenant's rows, newest first."""
    rows = OpsAudit.objects.filter(tenant_id=tenant_id)
    for field in ("action", "target_type", "target_id", "request_id"):
        value = getattr(wanted, field)
        if value is not None:
            rows = rows.filter(**{field: value})
    if wanted.since:
        rows = rows.filter(at__gte=wanted.since)
    if wanted.until:
        rows = rows.filter(at__lt=wanted.until)
    if wanted.before_id:
        rows = rows.filter(id__lt=wanted.before_id)
    return rows.order_by("-id")
