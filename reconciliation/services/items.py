"""One item of a run: a tenant, a month, a provider. Its failure is its own."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from django.db import DatabaseError, OperationalError, connection
from prometheus_client import Counter
from psycopg.errors import DeadlockDetected

from reconciliation.services import provider_report, rail_report
from settld.core.errors import Refusal
from settld.core.principals import Actor

FAILED_CODE: Final = "MONEY_RAIL_RECONCILE_FAILED"
UNKNOWN_PROVIDER: Final = "money rail provider not found"
NO_INSTRUCTION: Final = "no_payout_instruction"
DEADLOCKS_BORNE: Final = 2
log = structlog.get_logger(__name__)
ITEMS = Counter("money_rail_reconcile_items_total", "Items of reconcile runs", ["side", "status"])


@dataclass(frozen=True)
class Item:
    """One line of a run's result; `row` is its wire form."""

    status: str
    row: dict[str, Any]
    mismatch_count: int = 0
    has_artifact: bool = False
    deliveries: int = 0


def skipped(*, tenant_id: str, period: str | None, provider_id: str | None, reason: str) -> Item:
    """Note that there was nothing to do."""
    row = {"tenantId": tenant_id, "period": period, "providerId": provider_id, "status": "skipped"}
    return Item("skipped", row | {"reason": reason})


def books(*, tenant_id: str, period: str, provider_id: str, actor: Actor, now: dt.datetime) -> Item:
    """Compare with our own instructions, and keep what comes of it."""

    def work() -> Item:
        report = rail_report.reconcile(
            tenant_id=tenant_id, period=period, provider_id=provider_id, persist=True, actor=actor, now=now
        )
        row = _row(tenant_id, period, provider_id, report.status)
        row |= {"reportHash": report.report_hash, "artifactId": report.artifact_id}
        stored = report.artifact
        return Item(
            report.status, row, report.mismatch_count, stored is not None,
            stored.deliveries_created if stored else 0,
        )  # fmt: skip

    return guarded(work, side="books", row=_broken(tenant_id, period, provider_id), failed_code=FAILED_CODE)


def provider(*, tenant_id: str, period: str, provider_id: str, actor: Actor, now: dt.datetime) -> Item:
    """Compare with the provider's statement, and keep what comes of it."""

    def work() -> Item:
        report = provider_report.reconcile(
            tenant_id=tenant_id, period=period, provider_id=provider_id, persist=True, actor=actor, now=now
        )
        row = _row(tenant_id, period, provider_id, report.status)
        row |= {
            "reportHash": report.report_hash,
            "artifactId": report.artifact.artifact_id if report.artifact else None,
        }
        return Item(report.status, row, report.mismatch_count, report.artifact is not None)

    return guarded(
        work, side="provider", row=_broken(tenant_id, period, provider_id), failed_code=FAILED_CODE
    )


def guarded(
    work: Callable[[], Item],
    *,
    side: str,
    row: dict[str, Any],
    failed_code: str,
    passes: type[Refusal] | None = None,
) -> Item:
    """Do one item's work; what breaks it becomes the item's own `error`, told in `row`.

    A refusal of the kind `passes` is the caller's to word.
    """
    try:
        item = _past_deadlocks(work)
    except Exception as error:
        if passes is not None and isinstance(error, passes):
            raise
        named = {name: row[name] for name in ("period", "providerId") if name in row}
        log.exception("reconcile_item_failed", side=side, tenant_id=row["tenantId"], **named)
        if isinstance(error, DatabaseError) and not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()  # the next item gets a connection that works
        told = error if isinstance(error, Refusal) else None
        words = {
            "code": told.code if told else failed_code,
            "error": told.message if told else type(error).__name__,
        }
        item = Item("error", row | words)
    ITEMS.labels(side=side, status=item.status).inc()
    return item


def _past_deadlocks(work: Callable[[], Item]) -> Item:
    """Do it again when it met people deciding about its cases in another order; it was one transaction."""
    for _ in range(DEADLOCKS_BORNE):
        try:
            return work()
        except OperationalError as error:
            if not isinstance(error.__cause__, DeadlockDetected):
                raise
    return work()


def _row(tenant_id: str, period: str, provider_id: str, status: str) -> dict[str, Any]:
    return {"tenantId": tenant_id, "period": period, "providerId": provider_id, "status": status}


def _broken(tenant_id: str, period: str, provider_id: str) -> dict[str, Any]:
    return _row(tenant_id, period, provider_id, "error") | {"reportHash": None, "artifactId": None}
