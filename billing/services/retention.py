"""Deleting what has outlived its time (spec/checkout-billing.md 12); daily, in batches, fenced by tenant."""

import datetime as dt
from collections.abc import Callable
from itertools import groupby
from typing import Any, Final

import structlog
from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from billing import clock
from billing.models import BillingRequest, CheckoutSession, PaymentMethodSync, UsageCounter, UsageEvent
from billing.services import locks, transactions
from billing.states import BLOCKING, RequestStatus
from settld.api.requests import DEFAULT_TENANT
from settld.core import clock as process_clock
from settld.core import tenancy
from settld.core.principals import Actor
from settld.core.transactions import atomic
from settld.maintenance.models import MaintenanceState
from settld.maintenance.services import MaintenanceAlreadyRunning, Plan, run_exclusively
from settld.maintenance.states import GLOBAL
from settld.stripe_gateway.services.retention import scrub_payloads

BATCH: Final = 1000
REQUESTS: Final = "billing_idempotency_requests"
PAYLOADS: Final = "billing_webhook_payloads"
COUNTERS: Final = "billing_usage_counters"
EVENTS: Final = "billing_usage_events"
SYNCS: Final = "billing_payment_method_sync_events"
KIND: Final = "billing_retention"
log = structlog.get_logger(__name__)
_PLAN: Final = Plan(
    kind=KIND,
    lock_key="settld:maintenance:billing_retention:v1",
    tenant_id=None,
    actor=Actor.system("maintenance_runner"),
    audit_action="MAINTENANCE_BILLING_RETENTION_RUN",
    audit_target=KIND,
    audit_tenant_id=DEFAULT_TENANT,
    interval=dt.timedelta(days=1),
)
Rows = Callable[[], "QuerySet[Any]"]


def run(*, dry_run: bool = False, now: dt.datetime | None = None) -> dict[str, int]:
    """Apply every rule; gives how many rows each one took, or with `dry_run` would take, and writes nothing.

    Webhook payloads are emptied, everything else is deleted. Safe beside itself: a row goes once.
    """
    instant = now or clock.now()
    summary = {
        REQUESTS: _purge(lambda: _old_requests(instant), dry_run=dry_run, locks_entity=True),
        PAYLOADS: scrub_payloads(now=instant, batch=BATCH, dry_run=dry_run),
        COUNTERS: _purge(lambda: _ended(UsageCounter, instant), dry_run=dry_run),
        EVENTS: _purge(lambda: _ended(UsageEvent, instant), dry_run=dry_run),
        SYNCS: _purge(lambda: _old_syncs(instant), dry_run=dry_run),
    }
    log.info("billing_retention", dry_run=dry_run, **summary)
    return summary


def run_daily() -> dict[str, int] | None:
    """Run when a day has gone by since the last time, alone over all processes, with its history row.

    None when it is not time yet, or another process is at it.
    """
    summary: dict[str, int] = {}

    def work() -> tuple[dict[str, Any], dict[str, Any]]:
        summary.update(run())
        return {"purged": summary}, {"ok": True, "dryRun": False, "purged": summary}

    try:
        run_exclusively(_PLAN, work, require_due=_require_due)
    except (NotDue, MaintenanceAlreadyRunning):
        return None
    return summary


class NotDue(Exception):
    """A day has not gone by."""


def _require_due() -> None:
    with tenancy.tenant_scope(GLOBAL), atomic():
        state = MaintenanceState.objects.filter(tenant_id=GLOBAL, kind=KIND).first()
    if state is not None and state.next_eligible_at and state.next_eligible_at > process_clock.now():
        raise NotDue()


def _old_requests(now: dt.datetime) -> QuerySet[Any]:
    """List finished requests past their time, but none whose session still blocks the entity."""
    blocking = CheckoutSession.objects.filter(
        Q(operation_key=OuterRef("operation_key")) | Q(idempotency_row_id=OuterRef("pk")),
        tenant_id=OuterRef("tenant_id"),
        status__in=BLOCKING,
    )
    before = now - dt.timedelta(days=settings.BILLING.idempotency_retention_days)
    return BillingRequest.objects.filter(~Exists(blocking), updated_at__lte=before).exclude(
        status=RequestStatus.PENDING
    )


def _ended(model: type[UsageCounter] | type[UsageEvent], now: dt.datetime) -> QuerySet[Any]:
    before = now - dt.timedelta(days=settings.BILLING.usage_retention_days)
    return model.objects.filter(window_end_at__lt=before)


def _old_syncs(now: dt.datetime) -> QuerySet[Any]:
    before = now - dt.timedelta(days=settings.BILLING.sync_event_retention_days)
    return PaymentMethodSync.objects.filter(created_at__lt=before)


def _purge(rows: Rows, *, dry_run: bool, locks_entity: bool = False) -> int:
    """Delete batch by batch until nothing more is due; a batch that takes nothing ends it."""
    if dry_run:
        with tenancy.platform_scope(reason="billing retention: count"), atomic():
            return rows().count()
    total, after = 0, 0
    while chosen := _next(rows, after=after):
        after = max(pk for _, _, pk in chosen)
        for (tenant_id, entity_id), group in groupby(sorted(chosen), key=lambda row: row[:2]):
            total += _delete(
                rows,
                tenant_id=tenant_id,
                entity_id=entity_id if locks_entity else None,
                ids=[pk for _, _, pk in group],
            )
    return total


def _next(rows: Rows, *, after: int) -> list[tuple[str, int, int]]:
    with tenancy.platform_scope(reason="billing retention: find rows"), atomic():
        found = rows().filter(pk__gt=after).order_by("pk")
        return list(found.values_list("tenant_id", "billable_entity_id", "pk")[:BATCH])


def _delete(rows: Rows, *, tenant_id: str, entity_id: int | None, ids: list[int]) -> int:
    """Delete rows of one tenant that are still due; of requests under the entity's lock.

    A session that pointed at a request forgets it, which is a write of the session (INV-3).
    """

    def work() -> int:
        if entity_id is not None:
            locks.lock_entity(entity_id=entity_id)
        return int(rows().filter(pk__in=ids, tenant_id=tenant_id).delete()[0])

    return transactions.retried(tenant_id=tenant_id, work=work)
