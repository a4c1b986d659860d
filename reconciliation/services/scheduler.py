"""Reconcile runs: one at a time over beat, API and command; gated, fair over tenants, items on their own.

Source: spec/money-rails.md 6 and 2.7.
"""

import datetime as dt
import time
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from reconciliation.services import items, run_results, statement_lines, statement_pull, turns
from reconciliation.services.run_results import Covered
from settld.api.requests import DEFAULT_TENANT
from settld.audit import services as audit
from settld.core import clock, tenancy, transactions
from settld.core.principals import Actor
from settld.maintenance.models import MaintenanceRun
from settld.maintenance.services import Plan, note_state, run_exclusively
from settld.maintenance.states import GLOBAL, RunOutcome, RunScope
from settld.maintenance.status import RAILS as KIND

LOCK_KEY: Final = "settld:maintenance:money_rail_reconcile:v1"
ACTION: Final = "MAINTENANCE_MONEY_RAIL_RECONCILE_RUN"
RUNNER: Final = Actor.system("maintenance_runner")
BUDGET: Final = dt.timedelta(minutes=15)


@dataclass(frozen=True)
class Order:
    """What a run is to cover. Without a tenant it covers those whose turn it is."""

    tenant_id: str | None = None
    period: str | None = None
    provider_id: str | None = None
    force: bool = False
    max_tenants: int = 50
    max_periods_per_tenant: int = 2
    max_providers_per_tenant: int = 10
    with_provider_side: bool = True

    @classmethod
    def scheduled(cls, *, force: bool = False) -> "Order":
        """What beat orders, by the deployment's settings."""
        limits = settings.MONEY_RAIL_RECONCILE
        return cls(
            force=force,
            max_tenants=limits["max_tenants"],
            max_periods_per_tenant=limits["max_periods_per_tenant"],
            max_providers_per_tenant=limits["max_providers_per_tenant"],
            with_provider_side=bool(settings.PROVIDER_STATEMENT["enabled"]),
        )

    @property
    def inputs(self) -> dict[str, Any]:
        """Name the order as audit and result do."""
        return {
            "period": self.period,
            "providerId": self.provider_id,
            "force": self.force,
            "maxTenants": self.max_tenants,
            "maxPeriodsPerTenant": self.max_periods_per_tenant,
            "maxProvidersPerTenant": self.max_providers_per_tenant,
        }


class NotDue(Exception):
    """The interval has not elapsed; nothing was done."""

    def __init__(self, next_eligible_at: dt.datetime) -> None:
        super().__init__("interval_not_elapsed")
        self.next_eligible_at = next_eligible_at


def run(order: Order, *, actor: Actor = RUNNER, path: str | None = None) -> dict[str, Any]:
    """Run what is ordered, or say why not; gives the result as the spec words it.

    With a `path` (a call of the API) exactly one audit row is written in every outcome; a scheduled run
    that is not due leaves none. Raises MaintenanceAlreadyRunning, MaintenanceRunFailed, AuditLogFailed.
    """
    if not settings.MONEY_RAIL_RECONCILE["enabled"]:
        return _skip(order, {"reason": "disabled"}, actor=actor, path=path)
    try:
        _require_due(order)
        return _run(order, actor=actor, path=path)
    except NotDue as early:
        reason = {"reason": "interval_not_elapsed", "nextEligibleAt": clock.iso(early.next_eligible_at)}
        return _skip(order, reason, actor=actor, path=path)


def _require_due(order: Order) -> None:
    interval = settings.MONEY_RAIL_RECONCILE["interval_seconds"]
    if order.force or not interval:
        return
    state = turns.state_of(tenant_id=order.tenant_id or GLOBAL, kind=KIND)
    if state and state.next_eligible_at and state.next_eligible_at > clock.now():
        raise NotDue(state.next_eligible_at)


def _run(order: Order, *, actor: Actor, path: str | None) -> dict[str, Any]:
    interval = settings.MONEY_RAIL_RECONCILE["interval_seconds"]
    plan = Plan(
        kind=KIND,
        lock_key=LOCK_KEY,
        tenant_id=order.tenant_id,
        actor=actor,
        audit_action=ACTION,
        audit_target="money_rails_reconcile",
        audit_tenant_id=order.tenant_id or DEFAULT_TENANT,
        path=path,
        inputs=order.inputs,
        interval=dt.timedelta(seconds=interval) if interval else None,
    )

    def work() -> tuple[dict[str, Any], dict[str, Any]]:
        result = _cover_all(order, plan, actor=actor)
        return result["summary"], result

    # The gate is asked again once the lock is held: a run that ended meanwhile has moved it.
    finished = run_exclusively(plan, work, require_due=lambda: _require_due(order))
    return finished.result


def _cover_all(order: Order, plan: Plan, *, actor: Actor) -> dict[str, Any]:
    started_at, started = clock.now(), time.monotonic()
    pulled = _pull(order, now=started_at)
    covered: list[Covered] = []
    for tenant_id in [order.tenant_id] if order.tenant_id else turns.tenants(limit=order.max_tenants):
        if not order.tenant_id and time.monotonic() - started > BUDGET.total_seconds():
            break  # whoever is left comes first in the next run
        with tenancy.tenant_scope(tenant_id):
            if not order.tenant_id:
                turns.take(tenant_id=tenant_id, now=clock.now())
            done = _cover(tenant_id, order, actor=actor)
            if not order.tenant_id:
                _note(done, order, pulled)
        covered.append(done)
    plan.figures["mismatchCount"] = sum(done.mismatch_count for done in covered)
    runtime_ms = round((time.monotonic() - started) * 1000)
    return run_results.result(
        tenant_id=order.tenant_id,
        inputs=order.inputs,
        covered=covered,
        pulled=run_results.for_one_tenant(pulled) if order.tenant_id else pulled,
        started_at=started_at,
        runtime_ms=runtime_ms,
    )


def _pull(order: Order, *, now: dt.datetime) -> dict[str, Any] | None:
    """Read the provider's statement first, once for all; a provider that fails fails no run."""
    if not order.with_provider_side or not statement_pull.is_possible():
        return None
    named = order.provider_id
    if named is not None and named not in statement_lines.statement_providers():
        return None
    return statement_pull.pull(now=now).as_json()


def _cover(tenant_id: str, order: Order, *, actor: Actor) -> Covered:
    done = Covered(tenant_id, clock.now())
    started = time.monotonic()
    periods = (
        [order.period]
        if order.period
        else turns.periods(tenant_id=tenant_id, limit=order.max_periods_per_tenant)
    )
    if order.provider_id is not None and order.provider_id not in settings.MONEY_RAILS.providers:
        done.items.append(
            items.skipped(
                tenant_id=tenant_id, period=order.period, provider_id=order.provider_id,
                reason=items.UNKNOWN_PROVIDER,
            )
        )  # fmt: skip
        return done
    providers = (
        [order.provider_id] if order.provider_id else turns.providers(limit=order.max_providers_per_tenant)
    )
    if not periods:
        done.items.append(
            items.skipped(
                tenant_id=tenant_id, period=None, provider_id=order.provider_id, reason=items.NO_INSTRUCTION
            )
        )
    for period in periods:
        for provider_id in providers:
            done.items.append(
                items.books(
                    tenant_id=tenant_id, period=period, provider_id=provider_id, actor=actor, now=clock.now()
                )
            )
    for period, provider_id in _statement_subjects(tenant_id, order, periods, providers):
        done.provider_items.append(
            items.provider(
                tenant_id=tenant_id, period=period, provider_id=provider_id, actor=actor, now=clock.now()
            )
        )
    done.runtime_ms = round((time.monotonic() - started) * 1000)
    return done


def _statement_subjects(
    tenant_id: str, order: Order, periods: list[str], providers: list[str]
) -> list[tuple[str, str]]:
    """List what to compare with the statement: the run's months, and those in which lines changed."""
    read = [name for name in providers if name in statement_lines.statement_providers()]
    if not order.with_provider_side or not read or not statement_pull.is_possible():
        return []
    subjects = {(period, name) for period in periods for name in read}
    if order.period is None:
        subjects |= turns.statement_subjects(
            tenant_id=tenant_id, providers=read, limit=order.max_periods_per_tenant
        )
    return sorted(subjects, key=lambda subject: (subject[0], subject[1]), reverse=True)


# --- What is left behind ----------------------------------------------------------------------------
def _note(done: Covered, order: Order, pulled: dict[str, Any] | None) -> None:
    """Leave the state and history row of one tenant of a run over all, reduced to what concerns it."""
    interval = settings.MONEY_RAIL_RECONCILE["interval_seconds"]
    finished_at = done.started_at + dt.timedelta(milliseconds=done.runtime_ms)
    result = run_results.result(
        tenant_id=None,
        inputs=order.inputs,
        covered=[done],
        pulled=run_results.for_one_tenant(pulled),
        started_at=done.started_at,
        runtime_ms=done.runtime_ms,
    )
    outcome = RunOutcome.OK if done.is_ok else RunOutcome.ERROR
    code = None if done.is_ok else run_results.ITEMS_FAILED
    with transactions.atomic():
        note_state(
            tenant_id=done.tenant_id,
            kind=KIND,
            outcome=outcome,
            ran_at=done.started_at,
            finished_at=finished_at,
            runtime_ms=done.runtime_ms,
            result=result,
            code=code,
            next_eligible_at=done.started_at + dt.timedelta(seconds=interval) if interval else None,
        )
        MaintenanceRun.objects.create(
            tenant_id=done.tenant_id,
            kind=KIND,
            scope=RunScope.GLOBAL,
            started_at=done.started_at,
            finished_at=finished_at,
            outcome=outcome,
            runtime_ms=done.runtime_ms,
            inputs=order.inputs,
            summary=result["summary"],
            figures={"mismatchCount": done.mismatch_count},
            code=code,
        )


def _skip(order: Order, reason: dict[str, Any], *, actor: Actor, path: str | None) -> dict[str, Any]:
    """Answer without running; a call of the API is audited all the same."""
    scope = RunScope.TENANT if order.tenant_id else RunScope.GLOBAL
    tenant_id = order.tenant_id or DEFAULT_TENANT
    summary = run_results.summarise([])
    if path is not None:
        with tenancy.tenant_scope(tenant_id), transactions.atomic():
            audit.append_now(
                tenant_id=tenant_id,
                actor=actor,
                action=ACTION,
                target_type="maintenance",
                target_id="money_rails_reconcile",
                details={
                    "path": path,
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
