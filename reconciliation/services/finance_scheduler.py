"""The finance rounds: each tenant's newest months that have a GL batch.

Source: spec/settld-billing-and-finance.md 6.3.
"""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings

from reconciliation.queries import finance_inputs
from reconciliation.services import finance_items, rounds
from reconciliation.services.items import Item
from reconciliation.services.rounds import Round, Told
from settld.core import clock
from settld.core.principals import Actor
from settld.maintenance.states import RunScope
from settld.maintenance.status import FINANCE as KIND

LOCK_KEY: Final = "settld:maintenance:finance_reconcile:v1"
ACTION: Final = "MAINTENANCE_FINANCE_RECONCILE_RUN"
PERIODS_FAILED: Final = "FINANCE_RECONCILE_PERIODS_FAILED"


@dataclass(frozen=True)
class Order:
    """What a round is to cover. Without a tenant it covers those whose turn it is."""

    tenant_id: str | None = None
    period: str | None = None
    force: bool = False
    max_tenants: int = 50
    max_periods_per_tenant: int = 2

    @classmethod
    def scheduled(cls, *, force: bool = False) -> "Order":
        """What beat orders, by the deployment's settings."""
        limits = settings.FINANCE_RECONCILE
        return cls(
            force=force,
            max_tenants=limits["max_tenants"],
            max_periods_per_tenant=limits["max_periods_per_tenant"],
        )

    @property
    def inputs(self) -> dict[str, Any]:
        """Name the order as audit and result do."""
        return {
            "period": self.period,
            "force": self.force,
            "maxTenants": self.max_tenants,
            "maxPeriodsPerTenant": self.max_periods_per_tenant,
        }


@dataclass
class Covered:
    """What a round did for one tenant."""

    tenant_id: str
    started_at: dt.datetime
    runtime_ms: int = 0
    items: list[Item] = field(default_factory=list)

    @property
    def is_ok(self) -> bool:
        """Tell whether every month came to an end; one that differs did."""
        return all(item.status != "error" for item in self.items)

    @property
    def mismatch_count(self) -> int:
        """Count the differing rows of all its reports."""
        return sum(item.mismatch_count for item in self.items)


def run(order: Order, *, actor: Actor = rounds.RUNNER, path: str | None = None) -> dict[str, Any]:
    """Run what is ordered, or say why not; gives the result as the spec words it (see rounds.Round.run)."""
    return Round(JOB, order, actor, path).run()


class _Finance:
    """The finance job."""

    kind = KIND
    turn = "finance_reconcile_turn"
    lock_key = LOCK_KEY
    action = ACTION
    target = "finance_reconcile"
    failed_code = PERIODS_FAILED
    budget = rounds.BUDGET
    is_routine = None

    def limits(self) -> dict[str, Any]:
        return dict(settings.FINANCE_RECONCILE)

    def begin(self, order: Order, *, now: dt.datetime) -> None:
        return None

    def cover(self, tenant_id: str, order: Order, *, actor: Actor) -> Covered:
        return _cover(tenant_id, order, actor=actor)

    def tell(self, told: Told) -> dict[str, Any]:
        order: Order = told.order
        is_ok = all(done.is_ok for done in told.done)
        result = {
            "ok": is_ok,
            "scope": (RunScope.TENANT if order.tenant_id else RunScope.GLOBAL).value,
            "tenantId": order.tenant_id,
            **order.inputs,
            "startedAt": clock.iso(told.started_at),
            "completedAt": clock.iso(told.started_at + dt.timedelta(milliseconds=told.runtime_ms)),
            "runtimeMs": told.runtime_ms,
            "summary": self.summarise(told.done),
            "results": [item.row for done in told.done for item in done.items],
        }
        return result if is_ok else result | {"code": PERIODS_FAILED}

    def summarise(self, done: list[Covered]) -> dict[str, Any]:
        every = [item for one in done for item in one.items]
        reports = [item for item in every if item.status in ("pass", "fail")]
        errored = sum(item.status == "error" for item in every)
        return {
            "tenantCount": len(done),
            "attemptedPeriods": len(reports) + errored,
            "reconciledPeriods": len(reports),
            "passCount": sum(item.status == "pass" for item in reports),
            "failCount": sum(item.status == "fail" for item in reports),
            "skippedNoInputs": sum(item.status == "skipped" for item in every),
            "erroredPeriods": errored,
            "artifactsPersisted": sum(item.has_artifact for item in reports),
            "deliveriesCreated": sum(item.deliveries for item in reports),
        }

    def leaves_history(self, done: Covered) -> bool:
        return True


JOB: Final = _Finance()


def _cover(tenant_id: str, order: Order, *, actor: Actor) -> Covered:
    done = Covered(tenant_id, clock.now())
    periods = (
        [order.period]
        if order.period
        else finance_inputs.periods(tenant_id=tenant_id, limit=order.max_periods_per_tenant)
    )
    for period in periods:
        done.items.append(
            finance_items.month(tenant_id=tenant_id, period=period, actor=actor, now=clock.now())
        )
    if not periods:
        done.items.append(
            finance_items.skipped(tenant_id=tenant_id, period=None, reason=finance_items.NO_BATCH)
        )
    return done
