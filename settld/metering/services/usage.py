"""Recording billable use, in the transaction of what it bills (settld-billing-and-finance 2.1, 2.2).

Each verb joins the caller's transaction. The counter's row is locked until that ends, so call these after
the books, and in this order where one effect has several: verified run, settled volume, arbitration.
"""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any, Final

import structlog
from django.db import connection
from prometheus_client import Counter

from settld.core import clock, ids, transactions
from settld.core.errors import Refusal
from settld.core.money import MAX_MINOR
from settld.metering import limit as limits
from settld.metering.limit import HardLimit
from settld.metering.models import UsageEvent
from settld.metering.states import (
    BILLED_CURRENCY,
    ArbitrationSource,
    EventType,
    RunSource,
    VolumeSource,
)

log = structlog.get_logger(__name__)
CONFLICT: Final = "BILLABLE_USAGE_EVENT_CONFLICT"
CONFLICTS = Counter(
    "billable_usage_event_conflicts_total", "Repeated usage events with other content", ["event_type"]
)

_RECORD = """
WITH event AS (
  INSERT INTO billing_usage_event
    (id, tenant_id, event_key, event_type, period, occurred_at, quantity, amount_cents, currency, run_id,
     settlement_id, dispute_id, arbitration_case_id, source_type, source_id, source_event_id, audit,
     event_hash, created_at)
  VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s)
  ON CONFLICT (tenant_id, event_key) DO NOTHING
  RETURNING tenant_id, period, event_type, quantity, created_at
), counted AS (
  INSERT INTO billing_usage_counter AS counter
    (id, tenant_id, period, event_type, event_count, quantity, amount_cents, updated_at)
  SELECT %s, tenant_id, period, event_type, 1, quantity, %s, created_at FROM event
  ON CONFLICT (tenant_id, period, event_type) DO UPDATE SET
    event_count = counter.event_count + 1,
    quantity = counter.quantity + EXCLUDED.quantity,
    amount_cents = counter.amount_cents + EXCLUDED.amount_cents,
    updated_at = greatest(counter.updated_at, EXCLUDED.updated_at)
)
SELECT EXISTS (SELECT FROM event)
"""
_STORED_HASH = "SELECT event_hash FROM billing_usage_event WHERE tenant_id = %s AND event_key = %s"
_LOCK = """
SELECT quantity FROM billing_usage_counter
WHERE tenant_id = %s AND period = %s AND event_type = 'verified_run' FOR UPDATE
"""
_MAKE = """
INSERT INTO billing_usage_counter
  (id, tenant_id, period, event_type, event_count, quantity, amount_cents, updated_at)
VALUES (%s, %s, %s, 'verified_run', 0, 0, 0, %s)
ON CONFLICT (tenant_id, period, event_type) DO NOTHING
"""


@dataclass(frozen=True)
class Recorded:
    """What became of a use; `is_new` is False when its key was recorded before, and nothing was added."""

    event_key: str
    is_new: bool


class BillingPlanLimitExceeded(Refusal):
    """The month's verified runs are used up; the transaction that it leaves writes nothing."""

    status = 402
    code = "BILLING_PLAN_LIMIT_EXCEEDED"
    message = "billing plan verified-run limit exceeded"


def record(
    *,
    tenant_id: str,
    event_type: str,
    event_key: str,
    quantity: int = 1,
    amount_cents: int | None = None,
    currency: str | None = None,
    occurred_at: dt.datetime,
    run_id: str | None = None,
    settlement_id: str | None = None,
    dispute_id: str | None = None,
    arbitration_case_id: str | None = None,
    source_type: str,
    source_id: str,
    source_event_id: str | None = None,
    audit: dict[str, Any] | None = None,
    now: dt.datetime,
) -> Recorded:
    """Record one use and count it, in one statement of the caller's transaction.

    A key that is there already keeps its first event; other content under it is counted and logged as
    BILLABLE_USAGE_EVENT_CONFLICT and is no error. No limit is asked: verified runs go through
    `record_verified_run`. Units: `amount_cents` is whole minor units of `currency`, or None.
    """
    if not 1 <= quantity <= MAX_MINOR or not 0 <= (amount_cents or 0) <= MAX_MINOR:
        raise ValueError("a use has a quantity from 1 and an amount from 0")
    event = UsageEvent(
        tenant_id=tenant_id,
        event_key=event_key,
        event_type=event_type,
        period=clock.period_of(occurred_at),
        occurred_at=occurred_at,
        quantity=quantity,
        amount_cents=amount_cents,
        currency=currency,
        run_id=run_id,
        settlement_id=settlement_id,
        dispute_id=dispute_id,
        arbitration_case_id=arbitration_case_id,
        source_type=source_type,
        source_id=source_id,
        source_event_id=source_event_id,
        audit=audit,
        created_at=now,
    )
    event.event_hash = event.compute_hash()
    with transactions.joined():
        if _insert(event):
            return Recorded(event_key, is_new=True)
        _compare(event)
    return Recorded(event_key, is_new=False)


def record_verified_run(
    *,
    tenant_id: str,
    run_id: str,
    run_event_id: str,
    settlement_id: str | None,
    source_type: RunSource = "agent_run_event",
    quantity: int = 1,
    now: dt.datetime,
) -> Recorded:
    """Record that a run was verified, unless the tenant's plan allows no more of them this month.

    Raises BillingPlanLimitExceeded (402), which must leave the caller's transaction too, so that nothing
    of the run is written. Exact under any concurrency. The same run event again is neither counted nor
    refused.
    """
    event_key = f"{EventType.VERIFIED_RUN}:{run_id}:{run_event_id}"
    with transactions.joined():
        if limits.in_force(tenant_id=tenant_id) is not None:
            period = clock.period_of(now)
            used = _lock_counter(tenant_id=tenant_id, period=period, now=now)
            # Asked again: while we waited for the lock, somebody may have changed the limit.
            hard_limit = limits.in_force(tenant_id=tenant_id)
            if hard_limit is not None and used + quantity > hard_limit.most:
                if _stored_hash(tenant_id=tenant_id, event_key=event_key) is None:
                    raise _refusal(hard_limit, period=period, used=used, quantity=quantity)
                return Recorded(event_key, is_new=False)
        return record(
            tenant_id=tenant_id,
            event_type=EventType.VERIFIED_RUN,
            event_key=event_key,
            quantity=quantity,
            occurred_at=now,
            run_id=run_id,
            settlement_id=settlement_id,
            source_type=source_type,
            source_id=run_id,
            source_event_id=run_event_id,
            now=now,
        )


def record_settled_volume(
    *,
    tenant_id: str,
    run_id: str,
    settlement_id: str | None,
    resolution_event_id: str,
    released_cents: int,
    currency: str,
    source_type: VolumeSource,
    now: dt.datetime,
) -> Recorded:
    """Record that a settlement left `locked`; `released_cents` is what was released, 0 for a refund."""
    return record(
        tenant_id=tenant_id,
        event_type=EventType.SETTLED_VOLUME,
        event_key=f"{EventType.SETTLED_VOLUME}:{settlement_id or run_id}:{resolution_event_id}",
        amount_cents=released_cents,
        currency=currency,
        occurred_at=now,
        run_id=run_id,
        settlement_id=settlement_id,
        source_type=source_type,
        source_id=settlement_id or run_id,
        source_event_id=resolution_event_id,
        now=now,
    )


def record_arbitration_usage(
    *,
    tenant_id: str,
    case_id: str,
    run_id: str | None,
    dispute_id: str | None,
    settlement_id: str | None = None,
    source_type: ArbitrationSource,
    verdict_id: str | None = None,
    now: dt.datetime,
) -> Recorded:
    """Record an arbitration case: on its opening, its appeal, or the verdict that closes a dispute.

    They share one key, so a case is billed once; whichever comes second counts as a conflict and is fine.
    """
    return record(
        tenant_id=tenant_id,
        event_type=EventType.ARBITRATION_USAGE,
        event_key=f"{EventType.ARBITRATION_USAGE}:{case_id}:case",
        occurred_at=now,
        run_id=run_id,
        settlement_id=settlement_id,
        dispute_id=dispute_id,
        arbitration_case_id=case_id,
        source_type=source_type,
        source_id=verdict_id if verdict_id and source_type == "arbitration_verdict" else case_id,
        now=now,
    )


# --- Steps ----------------------------------------------------------------------------------------
def _insert(event: UsageEvent) -> bool:
    is_billed = event.currency in (None, BILLED_CURRENCY)
    with connection.cursor() as cursor:
        cursor.execute(
            _RECORD,
            [
                event.id, event.tenant_id, event.event_key, event.event_type, event.period,
                event.occurred_at, event.quantity, event.amount_cents, event.currency, event.run_id,
                event.settlement_id, event.dispute_id, event.arbitration_case_id, event.source_type,
                event.source_id, event.source_event_id,
                None if event.audit is None else json.dumps(event.audit), event.event_hash, event.created_at,
                ids.uuid7(), (event.amount_cents or 0) if is_billed else 0,
            ],
        )  # fmt: skip
        return bool(cursor.fetchone()[0])


def _compare(event: UsageEvent) -> None:
    """Count a repeat that says something else than the first."""
    if _stored_hash(tenant_id=event.tenant_id, event_key=event.event_key) != event.event_hash:
        CONFLICTS.labels(event_type=event.event_type).inc()
        log.warning("usage_event_conflict", code=CONFLICT, event_key=event.event_key)


def _stored_hash(*, tenant_id: str, event_key: str) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute(_STORED_HASH, [tenant_id, event_key])
        row = cursor.fetchone()
    return None if row is None else str(row[0])


def _lock_counter(*, tenant_id: str, period: str, now: dt.datetime) -> int:
    """Lock the month's counter, made first where there is none, and give what is used."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [tenant_id, period])
        row = cursor.fetchone()
        if row is None:
            cursor.execute(_MAKE, [ids.uuid7(), tenant_id, period, now])
            cursor.execute(_LOCK, [tenant_id, period])
            row = cursor.fetchone()
    return int(row[0])


def _refusal(hard_limit: HardLimit, *, period: str, used: int, quantity: int) -> BillingPlanLimitExceeded:
    return BillingPlanLimitExceeded(
        details={
            "period": period,
            "plan": hard_limit.plan,
            "hardLimitVerifiedRunsPerMonth": hard_limit.most,
            "usedVerifiedRuns": used,
            "attemptedQuantity": quantity,
            "projectedVerifiedRuns": used + quantity,
        }
    )
