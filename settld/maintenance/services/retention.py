"""Deleting what has outlived its time, in bounded bites."""

import datetime as dt
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from django.db import DatabaseError, OperationalError, connection
from prometheus_client import Counter
from psycopg.errors import QueryCanceled

from settld.core import tenancy, transactions
from settld.core.principals import Actor
from settld.idempotency.models import IdempotencyRecord
from settld.maintenance.models import MaintenanceState
from settld.maintenance.services.recording import note_state
from settld.maintenance.services.runs import Finished, MaintenanceRunFailed, Plan, run_exclusively
from settld.maintenance.states import RunOutcome, RunScope
from settld.tenants.models import Tenant

KIND = "retention_cleanup"
LOCK_KEY = "settld:maintenance:retention_cleanup:v1"
TABLES = ("ingest_records", "deliveries", "delivery_receipts", "idempotency_records", "webhook_payloads")
DEFAULT_ROWS, MOST_ROWS = 500, 10_000
DEFAULT_MS, MOST_MS = 1_500, 60_000

log = structlog.get_logger(__name__)
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


def run_over_all(*, now: dt.datetime, limits: Limits | None = None) -> Finished:
    """Delete the expired rows of every tenant, those first whose last turn is longest ago.

    Beat's run: one lock, one audit row under the default tenant, and a state row for each tenant that
    had its turn. What the time did not reach has its turn in the next run.
    """
    bounds = limits or Limits()
    plan = Plan(
        kind=KIND,
        lock_key=LOCK_KEY,
        tenant_id=None,
        actor=Actor.system("maintenance_runner"),
        audit_action="MAINTENANCE_RETENTION_RUN",
        audit_target="retention",
        audit_tenant_id="tenant_default",
        inputs={"dryRun": False, "batchSize": bounds.rows_per_table, "maxMillis": bounds.most_ms},
    )

    def work() -> tuple[dict[str, Any], dict[str, Any]]:
        total, count = _clean_all(limits=bounds, now=now)
        summary = total.as_json() | {"scope": RunScope.GLOBAL.value, "tenants": count}
        return summary, summary

    return run_exclusively(plan, work)


def _clean_all(*, limits: Limits, now: dt.datetime) -> tuple[Cleanup, int]:
    deadline = time.monotonic() + MOST_MS / 1000
    total, count = Cleanup(is_dry_run=False), 0
    failed: list[str] = []
    for tenant_id in _in_turn():
        if time.monotonic() > deadline:
            total.has_timed_out = True
            break
        cleanup, started = Cleanup(is_dry_run=False), time.monotonic()
        with tenancy.tenant_scope(tenant_id):
            outcome = RunOutcome.OK
            try:
                _clean(cleanup, tenant_id=tenant_id, limits=limits, now=now)
            except DatabaseError:  # the others still have their turn
                log.exception("retention_failed", tenant_id=tenant_id)
                outcome = RunOutcome.ERROR
                failed.append(tenant_id)
            runtime_ms = round((time.monotonic() - started) * 1000)
            with transactions.atomic():
                note_state(
                    tenant_id=tenant_id,
                    kind=KIND,
                    outcome=outcome,
                    code=None if outcome == RunOutcome.OK else MaintenanceRunFailed.code,
                    ran_at=now,
                    finished_at=now + dt.timedelta(milliseconds=runtime_ms),
                    runtime_ms=runtime_ms,
                    result=cleanup.as_json() | {"scope": RunScope.GLOBAL.value},
                )
        for table, purged in cleanup.purged.items():
            total.purged[table] += purged
        total.has_timed_out = total.has_timed_out or cleanup.has_timed_out
        count += 1
    if failed:
        raise RuntimeError(f"retention failed for {len(failed)} of {count} tenants, {failed[0]} first")
    return total, count


def _in_turn() -> list[str]:
    with tenancy.platform_scope(reason="retention: whose turn it is"):
        last_turn = dict(MaintenanceState.objects.filter(kind=KIND).values_list("tenant_id", "last_run_at"))
    everyone = Tenant.objects.values_list("tenant_id", flat=True)
    never = dt.datetime.min.replace(tzinfo=dt.UTC)
    return sorted(everyone, key=lambda tenant_id: (last_turn.get(tenant_id) or never, tenant_id))


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
