"""Leases on work owed to the provider: claim, assert, finish, fail (spec/checkout-billing.md 9.1).

Every write after the claim names the lease version that it holds, so whoever lost his lease writes nothing
more (INV-39); a row whose worker died is due again when its lease has run out (INV-41).
"""

import datetime as dt
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, cast

import structlog
from django.db import OperationalError
from django.db.models import F, Min, Q, QuerySet

from billing import clock
from billing.guardrail_codes import Guardrail
from billing.models import BillingOutboxJob, Remediation
from billing.services import guardrails, locks, transactions
from settld.core import clock as process_clock
from settld.core import tenancy
from settld.core.transactions import atomic
from settld.stripe_gateway.outcomes import scrub

log = structlog.get_logger(__name__)
MOST_ERROR_CHARACTERS: Final = 2000
MOST_TENANTS: Final = 200
MOST_SECONDS: Final = 60
ABANDONED: Final = "the worker's lease ran out before it finished"
WAITING: Final = ("pending", "failed")
DEAD_LETTER: Final = "dead_letter"
SUCCEEDED: Final = "succeeded"
Row = TypeVar("Row", bound=BillingOutboxJob | Remediation)


class Fenced(Exception):
    """The lease is somebody else's now: stop, and write nothing more about this row."""


@dataclass(frozen=True)
class Queue(Generic[Row]):
    """One table of leased work, by its own words.

    `locks_entity`: its rows are written under the lock of their entity (INV-3).
    """

    name: str
    model: type[Row]
    working: str
    due_column: str
    finished_column: str
    error_column: str
    lease_seconds: int
    retry_delay_seconds: int
    most_attempts: int
    dead_letter: Guardrail
    fenced: Guardrail
    locks_entity: bool

    def due(self, *, now: dt.datetime) -> QuerySet[Row]:
        """List what waits and whose time has come, and what a worker leased and never finished."""
        waiting = Q(**{"status__in": WAITING, f"{self.due_column}__lte": now})
        abandoned = Q(status=self.working, lease_expires_at__lte=now)
        return self.rows().filter(waiting | abandoned)

    def rows(self) -> QuerySet[Row]:
        """List all rows of the table that the scope in force may see."""
        every: Any = self.model._default_manager.all()
        return cast("QuerySet[Row]", every)

    def backoff(self, *, attempt: int, retry_after_seconds: int | None) -> dt.timedelta:
        """Give the wait after an attempt: the base times its number, or longer if the provider said so."""
        return dt.timedelta(seconds=max(self.retry_delay_seconds * attempt, retry_after_seconds or 0))


def worker_name() -> str:
    """Name this process, for people who look at leases."""
    return f"{socket.gethostname()}:{os.getpid()}"[:120]


def work_off(queue: Queue[Row], *, limit: int, execute: Callable[[Row], None]) -> int:
    """Claim and execute due rows, a row of each tenant in turn; gives how many were tried.

    Bounded by `limit` and by a minute: none is begun after it, so that ticks do not pile up while the
    provider is slow. Run twice, or beside itself, it has each row worked on once at a time.
    """
    done, stop_at = 0, process_clock.monotonic() + MOST_SECONDS
    tenants = _tenants_with_due(queue)
    while tenants and done < limit:
        busy = []
        for tenant_id in tenants:
            if done >= limit or process_clock.monotonic() > stop_at:
                return done
            try:
                row = claim_next(queue, tenant_id=tenant_id)
                if row is not None:
                    execute(row)
                    busy.append(tenant_id)
                    done += 1
            except OperationalError:  # an entity that somebody holds for long must not keep the other tenants
                log.warning("billing_work_postponed", queue=queue.name, tenant_id=tenant_id, exc_info=True)
        tenants = busy
    return done


def _tenants_with_due(queue: Queue[Row]) -> list[str]:
    with tenancy.platform_scope(reason=f"billing: tenants with due work ({queue.name})"), atomic():
        waiting = queue.due(now=clock.now()).values("tenant_id").annotate(since=Min(queue.due_column))
        return [row["tenant_id"] for row in waiting.order_by("since", "tenant_id")[:MOST_TENANTS]]


# --- Claim -------------------------------------------------------------------------------------------
def claim_next(queue: Queue[Row], *, tenant_id: str, owner: str | None = None) -> Row | None:
    """Lease a tenant's oldest due row to one worker; None when nothing is due.

    A lease that ran out counts as an attempt; a row that used up its attempts that way is given up here.
    """
    passed: list[int] = []
    while True:
        candidate = None
        if queue.locks_entity:
            candidate = _oldest(queue, tenant_id=tenant_id, but=passed)
            if candidate is None:
                return None
        row, is_given_up = _claim(queue, tenant_id=tenant_id, owner=owner or worker_name(), known=candidate)
        if row is not None and not is_given_up:
            return row
        if row is None and candidate is None:
            return None
        if candidate is not None:
            passed.append(candidate.pk)


def _oldest(queue: Queue[Row], *, tenant_id: str, but: list[int]) -> Row | None:
    """Look without a lock: the lock of the entity comes before that of the row."""
    with tenancy.tenant_scope(tenant_id), atomic():
        rows = queue.due(now=clock.now()).filter(tenant_id=tenant_id).exclude(pk__in=but)
        return rows.order_by(queue.due_column, "id").first()


def _claim(queue: Queue[Row], *, tenant_id: str, owner: str, known: Row | None) -> tuple[Row | None, bool]:
    def work() -> tuple[Row | None, bool]:
        rows = queue.due(now=clock.now()).filter(tenant_id=tenant_id)
        if known is not None:
            _lock_entity(known)
            rows = queue.due(now=clock.now()).filter(pk=known.pk)
        row = (
            rows.order_by(queue.due_column, "id")
            .select_for_update(skip_locked=True, no_key=True, of=("self",))
            .first()
        )
        if row is None:
            return None, False
        if row.status == queue.working and row.attempt_count >= queue.most_attempts:
            _write(queue, row, status=DEAD_LETTER, **_ended(queue, error=ABANDONED))
            return row, True
        now = clock.now()
        row.status = queue.working
        row.lease_owner, row.lease_expires_at = owner, now + dt.timedelta(seconds=queue.lease_seconds)
        row.lease_version += 1
        row.attempt_count += 1
        fields = ["status", "lease_owner", "lease_expires_at", "lease_version", "attempt_count"]
        if isinstance(row, Remediation):
            row.last_attempt_at = now
            fields.append("last_attempt_at")
        row.save(update_fields=fields)
        return row, False

    row, is_given_up = transactions.retried(tenant_id=tenant_id, work=work)
    if row is not None and is_given_up:
        _say_dead(queue, row, error=ABANDONED)
    return row, is_given_up


# --- Hold --------------------------------------------------------------------------------------------
def require_held(queue: Queue[Row], row: Row) -> None:
    """Make sure that the lease is still ours before the provider is asked for anything; else Fenced."""
    with tenancy.tenant_scope(row.tenant_id), atomic():
        is_ours = _ours(queue, row).filter(lease_expires_at__gt=clock.now()).exists()
    if not is_ours:
        raise _fenced(queue, row)


def renew(queue: Queue[Row], row: Row) -> None:
    """Lengthen our lease under a new version, inside the caller's transaction; Fenced when it is lost."""
    until = clock.now() + dt.timedelta(seconds=queue.lease_seconds)
    if _ours(queue, row).update(lease_expires_at=until, lease_version=F("lease_version") + 1) != 1:
        raise _fenced(queue, row)
    row.lease_version += 1
    row.lease_expires_at = until


def _ours(queue: Queue[Row], row: Row) -> QuerySet[Row]:
    return queue.rows().filter(
        pk=row.pk, tenant_id=row.tenant_id, status=queue.working, lease_version=row.lease_version
    )


def _fenced(queue: Queue[Row], row: Row) -> Fenced:
    guardrails.emit(queue.fenced, **whom(row), row_id=row.pk)
    return Fenced(f"{queue.name} {row.pk} is leased to somebody else")


# --- End ---------------------------------------------------------------------------------------------
def finish(queue: Queue[Row], row: Row, **more: Any) -> None:
    """Close a row as done if our lease still holds; Fenced otherwise, and nothing is written."""
    _end(queue, row, status=SUCCEEDED, **_ended(queue, error=None), **more)


def fail(
    queue: Queue[Row],
    row: Row,
    *,
    error: str,
    retry_after_seconds: int | None = None,
    is_hopeless: bool = False,
) -> None:
    """Put a row back for later, or away as a dead letter after its last attempt; Fenced as in finish."""
    text = scrub(error).replace("\x00", "")[:MOST_ERROR_CHARACTERS]
    if is_hopeless or row.attempt_count >= queue.most_attempts:
        _end(queue, row, status=DEAD_LETTER, **_ended(queue, error=text))
        _say_dead(queue, row, error=text)
        return
    wait = queue.backoff(attempt=row.attempt_count, retry_after_seconds=retry_after_seconds)
    changes: dict[str, Any] = {queue.due_column: clock.now() + wait, queue.error_column: text}
    _end(queue, row, status="failed", **changes)


def _end(queue: Queue[Row], row: Row, **changes: Any) -> None:
    """Compare-and-set: the version grows, so that nobody finishes with this lease a second time."""

    def work() -> bool:
        if queue.locks_entity:
            _lock_entity(row)
        return _write(queue, row, **changes)

    if not transactions.retried(tenant_id=row.tenant_id, work=work):
        raise _fenced(queue, row)


def _lock_entity(row: BillingOutboxJob | Remediation) -> None:
    if row.billable_entity_id is not None:
        locks.lock_entity(entity_id=row.billable_entity_id)


def _write(queue: Queue[Row], row: Row, **changes: Any) -> bool:
    released = {"lease_owner": None, "lease_expires_at": None, "lease_version": F("lease_version") + 1}
    return bool(_ours(queue, row).update(**released, **changes) == 1)


def _ended(queue: Queue[Row], *, error: str | None) -> dict[str, Any]:
    return {queue.finished_column: clock.now(), queue.error_column: error}


def _say_dead(queue: Queue[Row], row: Row, *, error: str) -> None:
    guardrails.emit(queue.dead_letter, **whom(row), row_id=row.pk, error=error)


def whom(row: BillingOutboxJob | Remediation) -> dict[str, Any]:
    """Name whom a row concerns, for guardrails and log lines."""
    return {
        "operation_key": row.operation_key,
        "provider_event_id": row.provider_event_id,
        "billable_entity_id": row.billable_entity_id,
    }
