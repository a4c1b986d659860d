"""Letting holds go whose challenge window is over (kernel spec 7.1)."""

import datetime as dt
import time
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from django.db import DatabaseError
from prometheus_client import Counter

from settld.audit import services as audit
from settld.core import failpoints, rows, tenancy, transactions
from settld.core.errors import Refusal
from settld.core.principals import Actor
from settld.kernel import open_cases
from settld.kernel.models import FundingHold
from settld.kernel.services import holds
from settld.kernel.states import AdjustmentKind, HoldStatus
from settld.maintenance import services as maintenance
from settld.maintenance.services import Finished, Plan
from settld.maintenance.states import RunOutcome, RunScope

log = structlog.get_logger(__name__)
SKIPPED: Final = Counter(
    "tool_call_holdback_auto_release_skipped_total", "Holds that were due and were not released", ["reason"]
)
KIND: Final = "tool_call_holdback"
LOCK_KEY: Final = "settld:maintenance:tool_call_holdback:v1"
LOOP: Final = Actor.system("maintenance_runner")
DEFAULT_LIMIT, MOST_LIMIT = 1000, 10_000
BITE: Final = 200

# Windows are exclusive here: a hold whose window ends this instant may still be disputed.
_DUE: Final = """tenant_id = %s AND status = 'held' AND window_ends_at < %s
  AND (window_ends_at, hold_hash) > (%s, %s)
ORDER BY window_ends_at, hold_hash LIMIT %s"""
_CLAIM: Final = "id = %s AND tenant_id = %s AND status = 'held' FOR UPDATE SKIP LOCKED"


@dataclass
class Round:
    """What a round did. `attempted` counts the expired holds that were looked at.

    On a dry run `released` counts those that would have been.
    """

    is_dry_run: bool
    attempted: int = 0
    released: int = 0
    errors: int = 0
    blocked_cases: list[dict[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Shape it for the wire and for the history."""
        return {
            "dryRun": self.is_dry_run,
            "attempted": self.attempted,
            "released": self.released,
            "blocked": len(self.blocked_cases),
            "errors": self.errors,
            "blockedCases": self.blocked_cases,
        }


def run(
    *, tenant_id: str, limit: int, is_dry_run: bool, actor: Actor, path: str, now: dt.datetime
) -> tuple[Round, Finished]:
    """Release a tenant's expired holds, one run at a time over all processes, with its history.

    Raises MaintenanceAlreadyRunning and MaintenanceRunFailed.
    """
    done = Round(is_dry_run=is_dry_run)
    plan = _plan(tenant_id, actor=actor, path=path, limit=limit, is_dry_run=is_dry_run)

    def work() -> tuple[dict[str, Any], dict[str, Any]]:
        release_due(done, tenant_id=tenant_id, limit=limit, actor=actor, now=now)
        return done.as_json(), done.as_json()

    return done, maintenance.run_exclusively(plan, work)


def run_over_all(*, now: dt.datetime, limit: int = DEFAULT_LIMIT) -> Finished | None:
    """Release the expired holds of every tenant, `limit` of each; None, and no trace, where none is due."""
    tenant_ids = _tenants_with_due_holds(now)
    if not tenant_ids:
        return None

    def work() -> tuple[dict[str, Any], dict[str, Any]]:
        rounds = [_of_tenant(tenant_id, limit=limit, now=now) for tenant_id in tenant_ids]
        summary = {
            "scope": RunScope.GLOBAL.value,
            "tenants": len(rounds),
            "attempted": sum(each.attempted for each in rounds),
            "released": sum(each.released for each in rounds),
            "blocked": sum(len(each.blocked_cases) for each in rounds),
            "errors": sum(each.errors for each in rounds),
        }
        return summary, summary

    return maintenance.run_exclusively(
        _plan(None, actor=LOOP, path=None, limit=limit, is_dry_run=False), work
    )


def release_due(done: Round, *, tenant_id: str, limit: int, actor: Actor, now: dt.datetime) -> None:
    """Release expired holds, the oldest first, each in a transaction of its own; `done` counts them.

    Run beside itself it releases each hold once: one that another has locked is left to the other. A hold
    that a case blocks does not count against `limit`, so blocked holds never keep the others waiting.
    """
    after: tuple[dt.datetime, str] = (dt.datetime.min.replace(tzinfo=dt.UTC), "")
    while True:
        due = rows.every(FundingHold, _DUE, [tenant_id, now, *after, BITE])
        for hold in due:
            if done.released + done.errors >= limit:
                return
            _try(done, hold, actor=actor, now=now)
        if len(due) < BITE:
            return
        after = (due[-1].window_ends_at, due[-1].hold_hash)


def _try(done: Round, hold: FundingHold, *, actor: Actor, now: dt.datetime) -> None:
    try:
        with transactions.atomic():
            found = rows.first(FundingHold, _CLAIM, [hold.pk, hold.tenant_id])
            if found is None:
                return
            done.attempted += 1
            case_id = open_cases.of_hold(
                tenant_id=found.tenant_id, hold_hash=found.hold_hash, receipt_hash=found.receipt_hash
            )
            if case_id is not None:
                SKIPPED.labels(reason="arbitration_case_open").inc()
                done.blocked_cases.append({"holdHash": found.hold_hash, "caseId": case_id})
                return
            if not done.is_dry_run:
                _release(found, actor=actor, now=now)
    except (Refusal, DatabaseError):  # the others still have their turn
        log.exception("hold_release_failed", hold_hash=hold.hold_hash)
        done.errors += 1
        return
    failpoints.hit("kernel.release_hold.after_commit")
    done.released += 1


def _release(hold: FundingHold, *, actor: Actor, now: dt.datetime) -> None:
    adjustment = holds.settle(
        hold, kind=AdjustmentKind.HOLDBACK_RELEASE, metadata={"autoReleased": True}, now=now
    )
    audit.append(
        tenant_id=hold.tenant_id,
        actor=actor,
        action="TOOL_CALL_HOLD_AUTO_RELEASE",
        target_type="funding_hold",
        target_id=hold.hold_hash,
        details={
            "agreementHash": hold.agreement_hash,
            "adjustmentId": adjustment.adjustment_id,
            "amountCents": adjustment.amount_cents,
            "currency": adjustment.currency,
        },
        at=now,
    )
    failpoints.hit("kernel.release_hold.before_commit")


def _of_tenant(tenant_id: str, *, limit: int, now: dt.datetime) -> Round:
    done, started = Round(is_dry_run=False), time.monotonic()
    with tenancy.tenant_scope(tenant_id):
        release_due(done, tenant_id=tenant_id, limit=limit, actor=LOOP, now=now)
        runtime_ms = round((time.monotonic() - started) * 1000)
        with transactions.atomic():
            maintenance.note_state(
                tenant_id=tenant_id,
                kind=KIND,
                outcome=RunOutcome.OK,
                ran_at=now,
                finished_at=now + dt.timedelta(milliseconds=runtime_ms),
                runtime_ms=runtime_ms,
                result=done.as_json() | {"scope": RunScope.GLOBAL.value},
            )
    return done


def _tenants_with_due_holds(now: dt.datetime) -> list[str]:
    with tenancy.platform_scope(reason="holdback: find tenants with due holds"):
        due = FundingHold.objects.filter(status=HoldStatus.HELD, window_ends_at__lt=now)
        return sorted(due.values_list("tenant_id", flat=True).distinct())


def _plan(tenant_id: str | None, *, actor: Actor, path: str | None, limit: int, is_dry_run: bool) -> Plan:
    return Plan(
        kind=KIND,
        lock_key=LOCK_KEY,
        tenant_id=tenant_id,
        actor=actor,
        audit_action="MAINTENANCE_TOOL_CALL_HOLDBACK_RUN",
        audit_target="tool_call_holdback",
        audit_tenant_id=tenant_id or "tenant_default",
        path=path,
        inputs={"dryRun": is_dry_run, "limit": limit},
    )
