"""A run: at most one per scope, leased, resumable, fenced (spec/checkout-billing.md 9.3; INV-38, INV-39)."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from django.conf import settings
from django.db.models import F

from billing import clock
from billing.guardrail_codes import Guardrail
from billing.models import BillableEntity, ReconciliationRun
from billing.providers import base
from billing.services import guardrails, leasing, locks, rows, transactions
from billing.states import RunStatus, Scope, Writer
from settld.core import failpoints
from settld.core.transactions import atomic

MOST_PROVIDER_CALLS: Final = 500
BATCH: Final = 100
PAGE: Final = 100
TOO_MANY_MISSING: Final = 5
EVERY: Final[dict[Scope, dt.timedelta]] = {
    Scope.PENDING_RECENT: dt.timedelta(minutes=15),
    Scope.CHECKOUT_RECOVERY_VERIFICATION: dt.timedelta(minutes=10),
    Scope.CHECKOUT_COMPLETED_PENDING: dt.timedelta(minutes=10),
    Scope.CHECKOUT_OPEN: dt.timedelta(minutes=30),
    Scope.SUBSCRIPTIONS_ACTIVE: dt.timedelta(hours=6),
    Scope.INVOICES_RECENT: dt.timedelta(days=1),
    Scope.PAYMENT_METHODS: dt.timedelta(days=1),
}
MISSING_SHARE: Final = 0.2
MOST_ERROR_CHARACTERS: Final = 2000
T = TypeVar("T")


class RunFenced(Exception):
    """Another runner has taken the run over: stop, and write nothing more."""


class BudgetSpent(Exception):
    """The run has asked the provider as often as one may; the next one goes on from here."""


class MissingRateExceeded(Exception):
    """Too much of ours is unknown to the provider: a wrong key or account is likelier than that."""


@dataclass(frozen=True)
class Item:
    """One row that a scope looks at."""

    id: int
    tenant_id: str
    entity_id: int


@dataclass
class Run:
    """What one runner holds; `row_id` is None for a dry run, which writes nothing at all."""

    scope: Scope
    is_dry: bool
    after: int = 0
    row_id: int | None = None
    version: int = 0
    lease_until: dt.datetime | None = None
    scanned: int = 0
    seen: int = 0
    drift: int = 0
    repaired: int = 0
    failed: int = 0
    calls: int = 0
    missing: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)

    # --- Asking the provider ---
    def ask(self) -> base.Provider:
        """Give the provider for one call; BudgetSpent instead of the one too many."""
        if self.calls >= MOST_PROVIDER_CALLS:
            raise BudgetSpent()
        self.calls += 1
        return base.active()

    def count_pages(self, items: int) -> None:
        """Count what a listing cost beyond its first page."""
        self.calls += max(items - 1, 0) // PAGE

    def note_missing(self, **what: Any) -> None:
        """Keep what the provider does not know; it is acted upon at the end, if there is not too much."""
        self.missing.append(what)

    def require_plausible(self) -> None:
        """Raise MissingRateExceeded when more than five and more than a fifth of what was seen is gone."""
        if len(self.missing) > TOO_MANY_MISSING and len(self.missing) > MISSING_SHARE * self.seen:
            raise MissingRateExceeded(f"{len(self.missing)} of {self.seen} are unknown to the provider")

    def note(self, word: str, count: int = 1) -> None:
        """Count something for the summary."""
        self.notes[word] = self.notes.get(word, 0) + count

    # --- Writing ---
    @property
    def _row(self) -> int:
        if self.row_id is None:
            raise RuntimeError("a dry run has no row and writes nothing")
        return self.row_id

    def repair(
        self, item: Item, work: Callable[[BillableEntity], T], *, writer: Writer = Writer.RECONCILIATION
    ) -> T:
        """Run `work` in one transaction that holds the run's row and the entity; counted when committed.

        Raises RunFenced, and then nothing of it is written.
        """

        done = self.write(item, work, writer=writer)
        self.repaired += 1
        return done

    def write(
        self, item: Item, work: Callable[[BillableEntity], T], *, writer: Writer = Writer.RECONCILIATION
    ) -> T:
        """Do as `repair`, for a write that repairs nothing."""

        def inside() -> T:
            self.require_held()
            return work(locks.lock_entity(entity_id=item.entity_id, writer=writer))

        return transactions.retried(tenant_id=item.tenant_id, work=inside)

    def require_held(self) -> None:
        """Lock the run's row in the open transaction and make sure that it is still ours; else RunFenced."""
        held = ReconciliationRun.objects.select_for_update(no_key=True).filter(
            pk=self._row, status=RunStatus.RUNNING, lease_version=self.version
        )
        if held.values_list("pk", flat=True).first() is None:
            raise RunFenced(f"run {self.row_id} of {self.scope} was taken over")

    def require_still_ours(self) -> None:
        """Make sure in a transaction of our own, before a verb that has its own is called; else RunFenced."""
        if not self.is_dry:
            with atomic(durable=True):
                self.require_held()

    def keep(self, *, is_batch_end: bool = False) -> None:
        """Save cursor and counts and renew the lease: at a batch's end, or when half the lease is over."""
        if self.is_dry or self.lease_until is None:
            return
        now = clock.now()
        lease = dt.timedelta(seconds=settings.BILLING.run_lease_seconds)
        if not is_batch_end and self.lease_until - now > lease / 2:
            return
        self._write(lease_expires_at=now + lease)
        self.lease_until = now + lease
        failpoints.hit("billing.reconciliation.saved")

    def close(self, status: RunStatus, *, is_complete: bool, error: str | None = None) -> None:
        """End the run; the next one begins anew when all rows were seen, else after the last one that was."""
        if self.is_dry:
            return
        self._write(
            status=status,
            finished_at=clock.now(),
            cursor_json=None if is_complete else {"after": self.after},
            summary_json=self.figures(),
            error_text=None if error is None else error[:MOST_ERROR_CHARACTERS],
            lease_owner=None,
            lease_expires_at=None,
            lease_version=F("lease_version") + 1,
        )
        failpoints.hit("billing.reconciliation.closed")

    def _write(self, **changes: Any) -> None:
        """Compare-and-set on the run's row; RunFenced when it is not ours any more."""
        values: dict[str, Any] = {
            "cursor_json": {"after": self.after, "seen": self.seen, "missing": self.missing},
            "scanned_count": self.scanned,
            "drift_detected_count": self.drift,
            "repaired_count": self.repaired,
        } | changes
        ours = ReconciliationRun.objects.filter(
            pk=self._row, status=RunStatus.RUNNING, lease_version=self.version
        )
        with atomic(durable=True):
            if ours.update(**values) != 1:
                raise RunFenced(f"run {self.row_id} of {self.scope} was taken over")

    def figures(self) -> dict[str, Any]:
        """Give the run's figures for its row and its summary."""
        return {
            "scanned": self.scanned,
            "driftDetected": self.drift,
            "repaired": self.repaired,
            "failed": self.failed,
            "missing": len(self.missing),
            "providerCalls": self.calls,
            **self.notes,
        }


# --- Opening -----------------------------------------------------------------------------------------
def open_run(scope: Scope) -> Run | None:
    """Open a run, or take over one whose lease ran out, cursor and all; None while another is at work."""
    with atomic(durable=True):
        row = _running(scope) or _insert(scope)
        if row is None:
            row = _running(scope)
            if row is None:  # it ended between our two looks
                return None
        now = clock.now()
        held_until = row.lease_expires_at
        if held_until is not None and held_until > now:
            return None
        until = now + dt.timedelta(seconds=settings.BILLING.run_lease_seconds)
        row.lease_owner = row.runner_id = leasing.worker_name()
        row.lease_expires_at = until
        row.lease_version += 0 if held_until is None else 1
        row.save(update_fields=["lease_owner", "runner_id", "lease_expires_at", "lease_version"])
    failpoints.hit("billing.reconciliation.opened")
    cursor = row.cursor_json or {}
    return Run(
        scope=scope,
        is_dry=False,
        after=int(cursor.get("after", 0)),
        row_id=row.pk,
        version=row.lease_version,
        lease_until=until,
        scanned=row.scanned_count,
        seen=int(cursor.get("seen", 0)),
        drift=row.drift_detected_count,
        repaired=row.repaired_count,
        missing=list(cursor.get("missing", [])),
    )


def _running(scope: Scope) -> Any:
    rows_of_scope = ReconciliationRun.objects.select_for_update(no_key=True)
    return rows_of_scope.filter(
        provider=settings.BILLING.provider, scope=scope, status=RunStatus.RUNNING
    ).first()


def _insert(scope: Scope) -> ReconciliationRun | None:
    """Insert the one running row of a scope; it goes on where a run that stopped early left off."""
    last = last_run(scope)
    after = (last.cursor_json or {}).get("after", 0) if last is not None else 0
    row = ReconciliationRun(
        provider=settings.BILLING.provider,
        scope=scope,
        runner_id=leasing.worker_name(),
        started_at=clock.now(),
        cursor_json={"after": after},
    )
    is_ours = rows.insert_once(row, target=("provider", "scope"), where=f"status = '{RunStatus.RUNNING}'")
    return row if is_ours else None


def last_run(scope: Scope) -> ReconciliationRun | None:
    """Give the newest ended run of a scope."""
    ended = ReconciliationRun.objects.filter(provider=settings.BILLING.provider, scope=scope).exclude(
        status=RunStatus.RUNNING
    )
    newest: ReconciliationRun | None = ended.order_by("-started_at", "-id").first()
    return newest


def due(*, now: dt.datetime) -> list[Scope]:
    """Name the scopes that should be run now, by what the rows say, so that no restart of beat costs a run.

    Those whose newest run stopped before all rows were seen, or died, or began longer ago than the scope's
    interval; and those that never ran.
    """
    return [scope for scope in Scope if _is_due(scope, now=now)]


def _is_due(scope: Scope, *, now: dt.datetime) -> bool:
    runs_of_scope = ReconciliationRun.objects.filter(provider=settings.BILLING.provider, scope=scope)
    running = runs_of_scope.filter(status=RunStatus.RUNNING).first()
    if running is not None:
        return running.lease_expires_at is None or running.lease_expires_at <= now
    newest = last_run(scope)
    if newest is None or newest.started_at + EVERY[scope] <= now:
        return True
    return newest.status == RunStatus.SUCCEEDED and newest.cursor_json is not None


def say_fenced(run: Run) -> None:
    """Count a runner that was overtaken."""
    guardrails.emit(Guardrail.RECONCILIATION_LEASE_FENCED, scope=run.scope.value, run_id=run.row_id)
