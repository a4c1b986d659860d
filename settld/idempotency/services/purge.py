"""Dropping replies whose time is over (P4.6: at least 30 days)."""

import datetime as dt

from settld.core import clock, tenancy, transactions
from settld.idempotency.models import IdempotencyRecord

BATCH = 500
MAX_BATCHES = 200


def purge_expired(*, now: dt.datetime | None = None) -> int:
    """Delete expired replies of every tenant; gives how many. Bounded: the next run goes on."""
    instant = now or clock.now()
    purged = 0
    for _ in range(MAX_BATCHES):
        with tenancy.platform_scope(reason="idempotency purge: find expired"):
            due = list(
                IdempotencyRecord.objects.filter(expires_at__lte=instant)
                .order_by("expires_at")
                .values_list("tenant_id", flat=True)[:BATCH]
            )
        if not due:
            break
        for tenant_id in sorted(set(due)):
            purged += purge_tenant(tenant_id=tenant_id, now=instant, limit=BATCH)
    return purged


def purge_tenant(*, tenant_id: str, now: dt.datetime, limit: int) -> int:
    """Delete a tenant's oldest expired replies, at most `limit` of them."""
    with tenancy.tenant_scope(tenant_id), transactions.atomic():
        oldest = (
            IdempotencyRecord.objects.filter(tenant_id=tenant_id, expires_at__lte=now)
            .order_by("expires_at")
            .values("pk")[:limit]
        )
        count, _ = IdempotencyRecord.objects.filter(tenant_id=tenant_id, pk__in=oldest).delete()
    return count
