"""Walking a scope: batches by id, each item on its own, stopping where the run must (spec 9.3)."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from billing import clock
from billing.guardrail_codes import Guardrail
from billing.services import guardrails
from billing.services.reconciliation import runs
from billing.services.reconciliation.runs import BudgetSpent, Item, MissingRateExceeded, Run, RunFenced
from billing.services.revisions import Overtaken
from billing.states import RunStatus, Scope

log = structlog.get_logger(__name__)


class Work(Protocol):
    """What one scope compares and repairs."""

    scope: Scope

    def batch(self, *, after: int, limit: int, now: dt.datetime) -> Sequence[Item]:
        """List the next items by id, of all tenants."""

    def examine(self, run: Run, item: Item) -> None:
        """Compare one item with the provider, and repair it unless the run is dry."""

    def apply_missing(self, run: Run, what: dict[str, Any]) -> None:
        """Repair what the provider does not know, kept back until the run's end."""

    def conclude(self, run: Run) -> None:
        """Do what belongs to the scope and is no item of it."""


class Plain:
    """A scope that has nothing beyond its items."""

    def apply_missing(self, run: Run, what: dict[str, Any]) -> None:
        """Leave what the provider does not know: it counts towards the breaker, and nothing else."""

    def conclude(self, run: Run) -> None:
        """There is nothing more to do."""


@dataclass(frozen=True)
class Summary:
    """How a run went; `status` is succeeded, failed, skipped or fenced."""

    scope: Scope
    status: str
    is_dry: bool = False
    reason: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    is_complete: bool = False

    def as_json(self) -> dict[str, Any]:
        """Give the summary as an answer or a log line carries it."""
        return {
            "scope": self.scope.value,
            "status": self.status,
            "reason": self.reason,
            "dryRun": self.is_dry,
            "complete": self.is_complete,
            **self.figures,
        }


def run(work: Work, *, limit: int | None, is_dry: bool) -> Summary:
    """Run a scope over all its rows, or over `limit` of them; what is left over, the next run begins with."""
    current = Run(scope=work.scope, is_dry=True) if is_dry else runs.open_run(work.scope)
    if current is None:
        return Summary(scope=work.scope, status="skipped", reason="active_run_exists")
    try:
        summary = _run(current, work, limit)
    except RunFenced:
        runs.say_fenced(current)
        summary = _summary(current, "fenced", reason="taken_over")
    log.info("billing_reconciliation_run", **summary.as_json())
    return summary


def _run(current: Run, work: Work, limit: int | None) -> Summary:
    try:
        is_complete = _walk(current, work, limit)
        _apply_missing(current, work)
        work.conclude(current)
    except RunFenced:
        raise
    except MissingRateExceeded as alarm:
        guardrails.emit(
            Guardrail.RECONCILIATION_MISSING_RATE,
            scope=work.scope.value,
            missing=len(current.missing),
            seen=current.seen,
        )
        current.close(RunStatus.FAILED, is_complete=True, error=str(alarm))  # the next one begins anew
        return _summary(current, "failed", reason="missing_rate_exceeded")
    except Exception as error:
        log.exception("billing_reconciliation_failed", scope=work.scope.value)
        guardrails.emit(
            Guardrail.RECONCILIATION_REPAIR_FAILURE, scope=work.scope.value, error=type(error).__name__
        )
        current.close(RunStatus.FAILED, is_complete=False, error=f"{type(error).__name__}: {error}")
        return _summary(current, "failed", reason="error")
    current.close(RunStatus.SUCCEEDED, is_complete=is_complete)
    if not current.is_dry:
        name = work.scope.value
        guardrails.measure(Guardrail.RECONCILIATION_DRIFT_COUNT, name=name, value=current.drift)
        guardrails.measure(Guardrail.RECONCILIATION_REPAIR_COUNT, name=name, value=current.repaired)
    reason = None if is_complete else "stopped_early"
    return _summary(current, "succeeded", is_complete=is_complete, reason=reason)


def _summary(current: Run, status: str, *, is_complete: bool = False, reason: str | None = None) -> Summary:
    return Summary(
        scope=current.scope,
        status=status,
        is_dry=current.is_dry,
        reason=reason,
        figures=current.figures(),
        is_complete=is_complete,
    )


def _walk(current: Run, work: Work, limit: int | None) -> bool:
    """Visit the rows after the cursor; True when none is left, False when the run has to stop before."""
    left = limit
    while left is None or left > 0:
        size = runs.BATCH if left is None else min(runs.BATCH, left)
        items = work.batch(after=current.after, limit=size, now=clock.now())
        if not items:
            return True
        for item in items:
            current.keep()
            try:
                _visit(current, work, item)
            except BudgetSpent as error:
                if current.scanned == 0:  # it alone costs more than a run may ask: pass it, or stand for ever
                    _count_failure(current, item, error)
                    current.after = item.id
                return False
            current.after = item.id
            current.scanned += 1
        current.require_plausible()
        current.keep(is_batch_end=True)
        left = None if left is None else left - len(items)
        if len(items) < size:
            return True
    return False


def _visit(current: Run, work: Work, item: Item) -> None:
    """Look at one item; its failure is counted and concerns no other."""
    try:
        work.examine(current, item)
    except (RunFenced, BudgetSpent):
        raise
    except Overtaken:  # somebody wrote the row while we asked; what he wrote is newer
        current.note("overtaken")
    except Exception as error:
        _count_failure(current, item, error)


def _apply_missing(current: Run, work: Work) -> None:
    current.require_plausible()
    if current.is_dry:
        return
    for what in current.missing:
        try:
            work.apply_missing(current, what)
        except RunFenced:
            raise
        except Exception as error:
            _count_failure(current, None, error)


def _count_failure(current: Run, item: Item | None, error: Exception) -> None:
    current.failed += 1
    log.warning(
        "billing_reconciliation_item_failed",
        scope=current.scope.value,
        item_id=None if item is None else item.id,
        billable_entity_id=None if item is None else item.entity_id,
        exc_info=error,
    )
    guardrails.emit(
        Guardrail.RECONCILIATION_REPAIR_FAILURE,
        billable_entity_id=None if item is None else item.entity_id,
        scope=current.scope.value,
        error=type(error).__name__,
    )
