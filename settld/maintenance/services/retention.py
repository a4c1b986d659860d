"""Deleting what has outlived its time, in bounded bites."""

import datetime as dt
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.db import OperationalError, connection
from prometheus_client import Counter
from psycopg.errors import QueryCanceled

from settld.core import transactions
from settld.core.principals import Actor
from settld.idempotency.models import IdempotencyRecord
from settld.maintenance.services.runs import Finished, Plan, run_exclusively

KIND = "retention_cleanup"
LOCK_KEY = "settld:maintenance:retention_cleanup:v1"
TABLES = ("ingest_records", "deliveries", "delivery_receipts", "idempotency_records", "webhook_payloads")
DEFAULT_ROWS, MOST_ROWS = 500, 10_000
DEFAULT_MS, MOST_MS = 1_500, 60_000

PURGED = Counter("retention_purged_total", "Rows deleted because their time was over", ["table"])


class Purger(Protocol):
    """Deletes a tenant's expired rows of one table, oldest first, in the open transaction.

    On a dry run it only counts those that it would delete.
    """

    def __call__(self, *, tenant_id: str, now: dt.datetime, limit: int, is_dry_run: bool) -> int: ...


@dataclass(frozen=True)
class Limits:
    """How much one run may take."""

    rows_per_table: int = DEFAULT_ROWS
    most_ms: int = DEFAULT_MS


@dataclass
class Cleanup:
    """What a run deleted, by table."""

    is_dry_run: bool
    purged: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))
    has_timed_out: bool = False

    def as_json(self) -> dict[str, Any]:
        """Shape it for the history."""
        return {"dryRun": self.is_dry_run, "timedOut": self.has_timed_out, "purged": self.purged}


def _purge_replies(*, tenant_id: str, now: dt.datetime, limit: int, is_dry_run: bool) -> int:
    expired = IdempotencyRecord.objects.filter(tenant_id=tenant_id, expires_at__lte=now)
    oldest = expired.order_by("expires_at").values("pk")[:limit]
    if is_dry_run:
        return oldest.count()
    count, _ = IdempotencyRecord.objects.filter(tenant_id=tenant_id, pk__in=oldest).delete()
    return count


_purgers: dict[str, Purger] = {"idempotency_records": _purge_replies}


def register_purger(table: str, purger: Purger) -> None:
    """Let a room above delete its own expired rows; called in AppConfig.ready()."""
    if table not in TABLES:
        raise ValueError(f"{table} is not a table that retention speaks of")
    _purgers[table] = purger


def run(
    *, tenant_id: str, actor: Actor, path: str, limits: Limits, is_dry_run: bool, now: dt.datetime
) -> tuple[Cleanup, Finished]:
    """Delete a tenant's expired rows, under the lock that all retention runs share.

    Raises MaintenanceAlreadyRunning and MaintenanceRunFailed. Source: spec/platform-operations.md 7.3.
    """
    cleanup = Cleanup(is_dry_run=is_dry_run)
    plan = Plan(
        kind=KIND,
        lock_key=LOCK_KEY,
        tenant_id=tenant_id,
        actor=actor,
        audit_action="MAINTENANCE_RETENTION_RUN",
        audit_target="retention",
        audit_tenant_id=tenant_id,
        path=path,
        inputs={"dryRun": is_dry_run, "batchSize": limits.rows_per_table, "maxMillis": limits.most_ms},
    )

    def work() -> tuple[dict[str, Any], dict[str, Any]]:
        _clean(cleanup, tenant_id=tenant_id, limits=limits, now=now)
        return cleanup.as_json(), cleanup.as_json()

    return cleanup, run_exclusively(plan, work)


def _clean(cleanup: Cleanup, *, tenant_id: str, limits: Limits, now: dt.datetime) -> None:
    deadline = time.monotonic() + limits.most_ms / 1000
    for table, purger in sorted(_purgers.items()):
        remaining_ms = int((deadline - time.monotonic()) * 1000)
        if remaining_ms < 1:
            cleanup.has_timed_out = True
            return
        try:
            with transactions.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{remaining_ms}ms"])
                count = purger(
                    tenant_id=tenant_id,
                    now=now,
                    limit=limits.rows_per_table,
                    is_dry_run=cleanup.is_dry_run,
                )
        except OperationalError as error:
            if not isinstance(error.__cause__, QueryCanceled):
                raise
            cleanup.has_timed_out = True
            return
        cleanup.purged[table] = count
        if not cleanup.is_dry_run:
            PURGED.labels(table=table).inc(count)
