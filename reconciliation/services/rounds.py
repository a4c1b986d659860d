"""Rounds over tenants: one at a time over beat, API and command; gated, fair, tenants on their own.

What a round does for a tenant, and how it words its result, is its `Job`'s to say; the money rails'
scheduler, the finance one and the invariant monitor are three jobs. Source: spec/money-rails.md 6.
"""

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from reconciliation.services import turns
from settld.api.requests import DEFAULT_TENANT
from settld.audit import services as audit
from settld.core import clock, tenancy, transactions
from settld.core.principals import Actor
from settld.maintenance.models import MaintenanceRun
from settld.maintenance.services import Plan, note_state, run_exclusively
from settld.maintenance.states import GLOBAL, RunOutcome, RunScope

RUNNER: Final = Actor.system("maintenance_runner")
BUDGET: Final = dt.timedelta(minutes=15)


class Order(Protocol):
    """What a round is to cover. Without a tenant it covers those whose turn it is."""

    @property
    def tenant_id(self) -> str | None: ...

    @property
    def force(self) -> bool: ...

    @property
    def max_tenants(self) -> int: ...

    @property
    def inputs(self) -> dict[str, Any]:
        """Name the order as audit and result do."""
        ...


class Done(Protocol):
    """What a round did for one tenant."""

    tenant_id: str
    started_at: dt.datetime
    runtime_ms: int

    @property
    def is_ok(self) -> bool: ...

    @property
    def mismatch_count(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Told:
    """How a round went, for its result: the order, what it began with, what it did, and how long."""

    order: Any
    begun: Any
    done: list[Any]
    started_at: dt.datetime
    runtime_ms: int
    is_share: bool = False  # one tenant's share of a round over all

    @property
    def of_one_tenant(self) -> bool:
        """Tell whether the result may speak of one tenant only."""
        return self.is_share or self.order.tenant_id is not None


class Job(Protocol):
    """One kind of round. Methods are called with no transaction open; `cover` is in the tenant's scope."""

    kind: str
    turn: str
    lock_key: str
    action: str
    target: str
    failed_code: str
    budget: dt.timedelta

    def limits(self) -> dict[str, Any]:
        """Give `enabled` and `interval_seconds` as they are set now."""
        ...

    def begin(self, order: Any, *, now: dt.datetime) -> Any:
        """Do once what all tenants of the round need; what it gives is told to `tell`."""
        ...

    def cover(self, tenant_id: str, order: Any, *, actor: Actor) -> Any:
        """Do one tenant's part; errors of single items are in what it gives, not raised."""
        ...

    def tell(self, told: Told) -> dict[str, Any]:
        """Word the result; `ok`, `summary` and `results` are in it."""
        ...

    def summarise(self, done: list[Any]) -> dict[str, Any]:
        """Count what was done."""
        ...

    def leaves_history(self, done: Any) -> bool:
        """Tell whether one tenant's part of a round over all is worth a row of its own."""
        ...

    @property
    def is_routine(self) -> Callable[[dict[str, Any]], bool] | None:
        """Tell the results that leave no rows (see maintenance's Plan); None: every round leaves them."""
        ...


class NotDue(Exception):
    """The interval has not elapsed; nothing was done."""

    def __init__(self, next_eligible_at: dt.datetime) -> None:
        super().__init__("interval_not_elapsed")
        self.next_eligible_at = next_eligible_at


@dataclass
class Round:
    """One call of a job."""

    job: Job
    order: Order
    actor: Actor = RUNNER
    path: str | None = None
    covered: list[Any] = field(default_factory=list)

    def run(self) -> dict[str, Any]:
        """Run what is ordered, or say why not; gives the result as the job words it.

        With a `path` (a call of the API) exactly one audit row is written in every outcome; a scheduled
        round that is not due leaves none. Raises MaintenanceAlreadyRunning, MaintenanceRunFailed,
        AuditLogFailed.
        """
        if not self.job.limits()["enabled"]:
            return self._skip({"reason": "disabled"})
        try:
            self._require_due()
            return self._run()
        except NotDue as early:
            next_eligible_at = clock.iso(early.next_eligible_at)
            return self._skip({"reason": "interval_not_elapsed", "nextEligibleAt": next_eligible_at})

    def _require_due(self) -> None:
        if self.order.force or not self._interval:
            return
        state = turns.state_of(tenant_id=self.order.tenant_id or GLOBAL, kind=self.job.kind)
        if state and state.next_eligible_at and state.next_eligible_at > clock.now():
            raise NotDue(state.next_eligible_at)

    @property
    def _interval(self) -> dt.timedelta | None:
        seconds = self.job.limits()["interval_seconds"]
        return dt.timedelta(seconds=seconds) if seconds else None

    def _run(self) -> dict[str, Any]:
        plan = Plan(
            kind=self.job.kind,
            lock_key=self.job.lock_key,
            tenant_id=self.order.tenant_id,
            actor=self.actor,
            audit_action=self.job.action,
            audit_target=self.job.target,
            audit_tenant_id=self.order.tenant_id or DEFAULT_TENANT,
            path=self.path,
            inputs=self.order.inputs,
            interval=self._interval,
            is_routine=self.job.is_routine,
        )

        def work() -> tuple[dict[str, Any], dict[str, Any]]:
            result = self._cover_all(plan)
            return result["summary"], result

        # The gate is asked again once the lock is held: a round that ended meanwhile has moved it.
        return run_exclusively(plan, work, require_due=self._require_due).result

    def _cover_all(self, plan: Plan) -> dict[str, Any]:
        order, job = self.order, self.job
        started_at, started = clock.now(), time.monotonic()
        begun = job.begin(order, now=started_at)
        for tenant_id in self._tenants():
            if not order.tenant_id and time.monotonic() - started > job.budget.total_seconds():
                break  # whoever is left comes first in the next round
            with tenancy.tenant_scope(tenant_id):
                if not order.tenant_id:
                    turns.take(tenant_id=tenant_id, turn=job.turn, now=clock.now())
                at, began = clock.now(), time.monotonic()
                done = job.cover(tenant_id, order, actor=self.actor)
                done.started_at, done.runtime_ms = at, round((time.monotonic() - began) * 1000)
                if not order.tenant_id:
                    self._note(done, begun)
            self.covered.append(done)
        plan.figures["mismatchCount"] = sum(done.mismatch_count for done in self.covered)
        runtime_ms = round((time.monotonic() - started) * 1000)
        return job.tell(Told(order, begun, self.covered, started_at, runtime_ms))

    def _tenants(self) -> list[str]:
        if self.order.tenant_id:
            return [self.order.tenant_id]
        return turns.tenants(turn=self.job.turn, limit=self.order.max_tenants)

    # --- What is left behind ------------------------------------------------------------------------
    def _note(self, done: Any, begun: Any) -> None:
        """Leave the state and history row of one tenant of a round over all, reduced to what concerns it."""
        job, interval = self.job, self._interval
        finished_at = done.started_at + dt.timedelta(milliseconds=done.runtime_ms)
        result = job.tell(Told(self.order, begun, [done], done.started_at, done.runtime_ms, is_share=True))
        outcome = RunOutcome.OK if done.is_ok else RunOutcome.ERROR
        code = None if done.is_ok else job.failed_code
        with transactions.atomic():
            note_state(
                tenant_id=done.tenant_id,
                kind=job.kind,
                outcome=outcome,
                ran_at=done.started_at,
                finished_at=finished_at,
                runtime_ms=done.runtime_ms,
                result=result,
                code=code,
                next_eligible_at=done.started_at + interval if interval else None,
            )
            if not job.leaves_history(done):
                return
            MaintenanceRun.objects.create(
                tenant_id=done.tenant_id,
                kind=job.kind,
                scope=RunScope.GLOBAL,
                started_at=done.started_at,
                finished_at=finished_at,
                outcome=outcome,
                runtime_ms=done.runtime_ms,
                inputs=self.order.inputs,
                summary=result["summary"],
                figures={"mismatchCount": done.mismatch_count},
                code=code,
            )

    def _skip(self, reason: dict[str, Any]) -> dict[str, Any]:
        """Answer without running; a call of the API is audited all the same."""
        order, job = self.order, self.job
        scope = RunScope.TENANT if order.tenant_id else RunScope.GLOBAL
        tenant_id = order.tenant_id or DEFAULT_TENANT
        summary = job.summarise([])
        if self.path is not None:
            with tenancy.tenant_scope(tenant_id), transactions.atomic():
                audit.append_now(
                    tenant_id=tenant_id,
                    actor=self.actor,
                    action=job.action,
                    target_type="maintenance",
                    target_id=job.target,
                    details={
                        "path": self.path,
                        "outcome": RunOutcome.OK.value,
                        "scope": scope.value,
                        **order.inputs,
                        "runtimeMs": 0,
                        "summary": summary,
                        "code": None,
                        "skipped": True,
                        **reason,
                    },
                )
        return {
            "ok": True, "skipped": True, **reason, "scope": scope.value, "tenantId": order.tenant_id,
            **order.inputs, "runtimeMs": 0, "summary": summary, "results": [],
        }  # fmt: skip
