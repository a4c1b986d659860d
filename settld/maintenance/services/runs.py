"""Running one thing at a time, over all processes and machines, with its history."""

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from prometheus_client import Counter

from settld.audit import services as audit
from settld.core import clock, locks, tenancy, transactions
from settld.core.errors import Conflict, Refusal
from settld.core.principals import Actor
from settld.maintenance.models import MaintenanceRun
from settld.maintenance.services.recording import note_state
from settld.maintenance.states import GLOBAL, RunOutcome, RunScope

log = structlog.get_logger(__name__)
RUNS = Counter("maintenance_runs_total", "Maintenance runs", ["kind", "result", "scope", "dry_run"])
FAILED = Counter("maintenance_fail_total", "Maintenance runs that broke", ["kind", "scope"])


class MaintenanceAlreadyRunning(Conflict):
    """Another run of this kind holds the lock; nothing was done."""

    code = "MAINTENANCE_ALREADY_RUNNING"
    message = "maintenance already running"


class MaintenanceRunFailed(Refusal):
    """The run broke; its history row and audit row say so."""

    status = 500
    code = "MAINTENANCE_RUN_FAILED"
    message = "maintenance run failed"


@dataclass(frozen=True)
class Plan:
    """What is to be run, for whom and by whom.

    `audit_tenant_id` is where the audit row goes; a run over all tenants has `tenant_id=None` and is
    audited under the default tenant. `is_routine` is for a watch that looks every minute: of the results of
    runs that went well it tells those that deserve no rows, so that audit and history are not buried in
    them; the state is noted all the same, and a run that breaks always leaves its rows.
    """

    kind: str
    lock_key: str
    tenant_id: str | None
    actor: Actor
    audit_action: str
    audit_target: str
    audit_tenant_id: str
    path: str | None = None
    inputs: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)  # filled in by the work
    interval: dt.timedelta | None = None
    is_routine: Callable[[dict[str, Any]], bool] | None = None

    @property
    def owner(self) -> str:
        """Name whose rows the run writes."""
        return self.tenant_id or GLOBAL

    @property
    def scope(self) -> RunScope:
        """Tell whether it is for one tenant or for all."""
        return RunScope.TENANT if self.tenant_id else RunScope.GLOBAL


@dataclass(frozen=True)
class Finished:
    """What a run gave back: a summary for the history, the full result for the state."""

    summary: dict[str, Any]
    result: dict[str, Any]
    started_at: dt.datetime
    runtime_ms: int


Work = Callable[[], tuple[dict[str, Any], dict[str, Any]]]


def run_exclusively(plan: Plan, work: Work, *, require_due: Callable[[], None] | None = None) -> Finished:
    """Run `work` while holding the kind's lock; it gives (summary, result), and manages its own transactions.

    Exactly one audit row and one history row per call (but see Plan.is_routine). A result with `ok: False`
    (some parts failed, the rest was done) is recorded as an error, and returned. `require_due` is asked
    once the lock is held and before anything is written; what it raises ends the call without a trace.
    Raises MaintenanceAlreadyRunning at once when the lock is taken (state and gate stay as they were),
    MaintenanceRunFailed when the work broke.
    Source: spec/platform-operations.md 7.2.
    """
    run = MaintenanceRun(
        tenant_id=plan.owner,
        kind=plan.kind,
        scope=plan.scope,
        started_at=clock.now(),
        inputs=plan.inputs,
        request_id=plan.actor.request_id,
    )
    started = time.perf_counter()
    with locks.session_advisory(plan.lock_key) as is_ours:
        if not is_ours:
            run.code = MaintenanceAlreadyRunning.code
            if plan.is_routine is None:
                _end(plan, run, outcome=RunOutcome.ALREADY_RUNNING, started=started)
            raise MaintenanceAlreadyRunning()
        if require_due is not None:
            require_due()
        if plan.is_routine is None:
            _save(plan, run)  # before the work, so that a run that dies has left its row
        try:
            summary, result = work()
        except Exception as error:
            log.exception("maintenance_run_failed", kind=plan.kind, scope=plan.scope.value)
            run.code = error.code if isinstance(error, Refusal) else MaintenanceRunFailed.code
            _end(plan, run, outcome=RunOutcome.ERROR, started=started)
            raise MaintenanceRunFailed() from error
        run.summary, run.figures = summary, plan.figures
        is_ok = result.get("ok", True) is True
        run.code = None if is_ok else result.get("code")
        _end(plan, run, outcome=RunOutcome.OK if is_ok else RunOutcome.ERROR, started=started, result=result)
    return Finished(summary=summary, result=result, started_at=run.started_at, runtime_ms=run.runtime_ms or 0)


def _save(plan: Plan, run: MaintenanceRun) -> None:
    with tenancy.tenant_scope(plan.owner), transactions.atomic():
        run.save()


def _end(
    plan: Plan,
    run: MaintenanceRun,
    *,
    outcome: RunOutcome,
    started: float,
    result: dict[str, Any] | None = None,
) -> None:
    """Write audit, history and state of a call in one transaction."""
    run.outcome = outcome
    run.runtime_ms = round((time.perf_counter() - started) * 1000)
    run.finished_at = run.started_at + dt.timedelta(milliseconds=run.runtime_ms)
    is_dry = str(bool(plan.inputs.get("dryRun"))).lower()
    RUNS.labels(kind=plan.kind, result=outcome.value, scope=plan.scope.value, dry_run=is_dry).inc()
    if outcome == RunOutcome.ERROR:
        FAILED.labels(kind=plan.kind, scope=plan.scope.value).inc()
    leaves_rows = outcome != RunOutcome.OK or plan.is_routine is None or not plan.is_routine(result or {})
    with transactions.atomic():
        if leaves_rows:
            with tenancy.tenant_scope(plan.audit_tenant_id):
                run.audit_id = _audit(plan, run)
        with tenancy.tenant_scope(plan.owner):
            if leaves_rows:
                run.save()
            if outcome != RunOutcome.ALREADY_RUNNING:
                note_state(
                    tenant_id=plan.owner,
                    kind=plan.kind,
                    outcome=outcome,
                    ran_at=run.started_at,
                    finished_at=run.finished_at,
                    runtime_ms=run.runtime_ms,
                    result=result,
                    code=run.code,
                    request_id=run.request_id,
                    audit_id=run.audit_id,
                    next_eligible_at=run.started_at + plan.interval if plan.interval else None,
                )


def _audit(plan: Plan, run: MaintenanceRun) -> int:
    origin = {"path": plan.path} if plan.path else {"origin": plan.actor.principal_id}
    return audit.append_now(
        tenant_id=plan.audit_tenant_id,
        actor=plan.actor,
        action=plan.audit_action,
        target_type="maintenance",
        target_id=plan.audit_target,
        details={
            **origin,
            "outcome": run.outcome,
            "scope": plan.scope.value,
            **plan.inputs,
            "runtimeMs": run.runtime_ms,
            "summary": run.summary,
            "code": run.code,
        },
        at=run.finished_at,
    )
