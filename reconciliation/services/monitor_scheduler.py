"""The monitor's rounds: every invariant of each tenant whose turn it is, about once a minute."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from reconciliation.services import monitor, rounds
from reconciliation.services.monitor import Outcome
from reconciliation.services.rounds import Round, Told
from reconciliation.states import CheckStatus
from settld.core import clock
from settld.core.principals import Actor
from settld.maintenance.states import RunScope
from settld.maintenance.status import INVARIANTS as KIND

log = structlog.get_logger(__name__)
LOCK_KEY: Final = "settld:maintenance:invariants:v1"
ACTION: Final = "MAINTENANCE_INVARIANTS_RUN"
NOT_LOOKED_AT: Final = "INVARIANTS_NOT_LOOKED_AT"


@dataclass(frozen=True)
class Order:
    """What a round is to cover. Without a tenant it covers those whose turn it is."""

    tenant_id: str | None = None
    force: bool = False
    max_tenants: int = 200

    @classmethod
    def scheduled(cls, *, force: bool = False) -> "Order":
        """What beat orders, by the deployment's settings."""
        return cls(force=force, max_tenants=settings.INVARIANTS["max_tenants"])

    @property
    def inputs(self) -> dict[str, Any]:
        """Name the order as audit and result do."""
        return {"force": self.force, "maxTenants": self.max_tenants}


@dataclass
class Covered:
    """What a round found at one tenant."""

    tenant_id: str
    started_at: dt.datetime
    runtime_ms: int = 0
    outcomes: list[Outcome] = field(default_factory=list)
    problem: str | None = None

    @property
    def is_ok(self) -> bool:
        """Tell whether every invariant could be looked at; one that is broken was."""
        return self.problem is None and all(
            outcome.check.status != CheckStatus.ERROR for outcome in self.outcomes
        )

    @property
    def mismatch_count(self) -> int:
        """Count the rows that break something."""
        return sum(outcome.check.row_count for outcome in self.outcomes)

    @property
    def has_news(self) -> bool:
        """Tell whether an invariant stands otherwise than at the look before."""
        return self.problem is not None or any(outcome.is_news for outcome in self.outcomes)


def run(order: Order, *, actor: Actor = rounds.RUNNER, path: str | None = None) -> dict[str, Any]:
    """Run what is ordered, or say why not (see rounds.Round.run); only rounds with news leave rows."""
    return Round(JOB, order, actor, path).run()


class _Monitor:
    """The monitor's job."""

    kind = KIND
    turn = "invariants_turn"
    lock_key = LOCK_KEY
    action = ACTION
    target = "invariants"
    failed_code = NOT_LOOKED_AT
    budget = dt.timedelta(seconds=45)

    def limits(self) -> dict[str, Any]:
        return dict(settings.INVARIANTS)

    def begin(self, order: Order, *, now: dt.datetime) -> None:
        return None

    def cover(self, tenant_id: str, order: Order, *, actor: Actor) -> Covered:
        """Look at one tenant; what breaks that look is this tenant's error, and the round goes on."""
        now = clock.now()
        try:
            return Covered(tenant_id, now, outcomes=monitor.look(tenant_id=tenant_id, now=now))
        except Exception as error:
            log.exception("invariants_look_failed", tenant_id=tenant_id)
            if isinstance(error, DatabaseError) and not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()  # the next tenant gets one that works
            return Covered(tenant_id, now, problem=type(error).__name__)

    def tell(self, told: Told) -> dict[str, Any]:
        """Word the result; `results` has what does not hold or could not be looked at."""
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
            "results": [row for done in told.done for row in _told(done)],
        }
        return result if is_ok else result | {"code": NOT_LOOKED_AT}

    def summarise(self, done: list[Covered]) -> dict[str, Any]:
        every = [outcome for one in done for outcome in one.outcomes]
        return {
            "tenantCount": len(done),
            "checkedCount": len(every),
            "passCount": sum(outcome.check.status == CheckStatus.PASS for outcome in every),
            "failCount": sum(outcome.check.status == CheckStatus.FAIL for outcome in every),
            "errored": sum(outcome.check.status == CheckStatus.ERROR for outcome in every)
            + sum(one.problem is not None for one in done),
            "newsCount": sum(outcome.is_news for outcome in every)
            + sum(one.problem is not None for one in done),
            "stoppedTenants": sum(any(outcome.has_stopped for outcome in one.outcomes) for one in done),
        }

    def leaves_history(self, done: Covered) -> bool:
        return done.has_news

    @property
    def is_routine(self) -> Callable[[dict[str, Any]], bool]:
        return lambda result: not result["summary"]["newsCount"]


JOB: Final = _Monitor()


def _told(done: Covered) -> list[dict[str, Any]]:
    """Give what does not hold for a tenant, or could not be looked at."""
    if done.problem is not None:
        return [{"tenantId": done.tenant_id, "name": None, "status": "error", "code": done.problem}]
    return [outcome.row for outcome in done.outcomes if outcome.check.status != CheckStatus.PASS]
