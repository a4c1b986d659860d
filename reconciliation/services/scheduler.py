"""The money rails' reconcile rounds: what they cover, and how their results are worded.

Source: spec/money-rails.md 6 and 2.7.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from reconciliation.services import items, rounds, run_results, statement_lines, statement_pull, turns
from reconciliation.services.rounds import Round, Told
from reconciliation.services.run_results import Covered
from settld.core import clock
from settld.core.principals import Actor
from settld.maintenance.status import RAILS as KIND

LOCK_KEY: Final = "settld:maintenance:money_rail_reconcile:v1"
ACTION: Final = "MAINTENANCE_MONEY_RAIL_RECONCILE_RUN"


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


def run(order: Order, *, actor: Actor = rounds.RUNNER, path: str | None = None) -> dict[str, Any]:
    """Run what is ordered, or say why not; gives the result as the spec words it (see rounds.Round.run)."""
    return Round(JOB, order, actor, path).run()


class _Rails:
    """The rails' job: both comparisons of each tenant's newest months at every provider."""

    kind = KIND
    turn = turns.TURN
    lock_key = LOCK_KEY
    action = ACTION
    target = "money_rails_reconcile"
    failed_code = run_results.ITEMS_FAILED
    budget = rounds.BUDGET
    is_routine = None

    def limits(self) -> dict[str, Any]:
        return dict(settings.MONEY_RAIL_RECONCILE)

    def begin(self, order: Order, *, now: dt.datetime) -> dict[str, Any] | None:
        return _pull(order, now=now)

    def cover(self, tenant_id: str, order: Order, *, actor: Actor) -> Covered:
        return _cover(tenant_id, order, actor=actor)

    def tell(self, told: Told) -> dict[str, Any]:
        return run_results.result(
            tenant_id=told.order.tenant_id,
            inputs=told.order.inputs,
            covered=told.done,
            pulled=run_results.for_one_tenant(told.begun) if told.of_one_tenant else told.begun,
            started_at=told.started_at,
            runtime_ms=told.runtime_ms,
        )

    def summarise(self, done: list[Covered]) -> dict[str, Any]:
        return run_results.summarise(done)

    def leaves_history(self, done: Covered) -> bool:
        return True


JOB: Final = _Rails()


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
