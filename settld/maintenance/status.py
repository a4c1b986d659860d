"""What /ops/status tells: sections read from persisted rows, so that a restart forgets nothing."""

import datetime as dt
from collections.abc import Callable
from typing import Any, Protocol

import psutil
from django.conf import settings

from settld.core import clock
from settld.maintenance import queries
from settld.maintenance.models import MaintenanceState
from settld.outbox import queries as outbox

STARTED_AT = dt.datetime.fromtimestamp(psutil.Process().create_time(), tz=dt.UTC)
RETENTION, FINANCE, RAILS = "retention_cleanup", "finance_reconcile", "money_rails_reconcile"
INVARIANTS = "invariants"
# The beat tasks that make a section's `enabled` true once the schedule holds them.
FINANCE_TASK, RAILS_TASK, STRIPE_SYNC_TASK, INVARIANTS_TASK = (
    "reconciliation.finance_tick",
    "reconciliation.money_rails_tick",
    "billing.stripe_sync",
    "reconciliation.invariants_tick",
)


class Count(Protocol):
    """Counts something that waits, for one tenant; the caller is in its scope."""

    def __call__(self, *, tenant_id: str) -> Any: ...


_backlog: dict[str, Count] = {}
_ZERO: dict[str, Callable[[], Any]] = {
    "deliveriesPending": int,
    "deliveriesFailed": int,
    "ingestRejected": int,
    "deliveryDlqTopDestinations": list,
}


def register_backlog(name: str, count: Count) -> None:
    """Let a room above count what waits there; called in AppConfig.ready()."""
    if name not in _ZERO:
        raise ValueError(f"{name} is not a part of the backlog")
    _backlog[name] = count


def read(*, tenant_id: str, now: dt.datetime) -> dict[str, Any]:
    """Tell how a tenant's background work stands; another tenant's runs are never in it."""
    states = queries.states(tenant_id=tenant_id)
    return {
        "ok": True,
        "tenantId": tenant_id,
        "process": {
            "startedAt": clock.iso(STARTED_AT),
            "uptimeSeconds": max(0, int((now - STARTED_AT).total_seconds())),
        },
        "backlog": backlog(tenant_id=tenant_id),
        "maintenance": {
            "retentionCleanup": _retention(states.get(RETENTION)),
            "financeReconciliation": _finance(states.get(FINANCE)),
            "moneyRailReconciliation": _rails(states.get(RAILS)),
            "invariants": _invariants(states.get(INVARIANTS)),
            "billingStripeSync": _stripe_sync(),
        },
        "reasons": {"topAppendRejected": [], "topIngestRejected": []},
    }


def backlog(*, tenant_id: str) -> dict[str, Any]:
    """Count what waits, by the rooms that know."""
    counts: dict[str, Any] = {"outboxByKind": outbox.open_by_kind(tenant_id=tenant_id)}
    for name, zero in _ZERO.items():
        counts[name] = _backlog[name](tenant_id=tenant_id) if name in _backlog else zero()
    return counts


def is_scheduled(task: str) -> bool:
    """Tell whether the loaded beat schedule holds a task."""
    return any(entry["task"] == task for entry in settings.CELERY_BEAT_SCHEDULE.values())


def _last_run(state: MaintenanceState | None) -> dict[str, Any]:
    return {
        "lastRunAt": clock.iso(state.last_run_at) if state else None,
        "lastSuccessAt": clock.iso(state.last_success_at) if state else None,
        "lastResult": state.last_result if state else None,
        "outcome": state.outcome if state else None,
        "runtimeMs": state.runtime_ms if state else None,
        "requestId": state.request_id if state else None,
        "auditId": state.audit_id if state else None,
    }


def _retention(state: MaintenanceState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    result = state.last_result or {}
    return {
        "at": clock.iso(state.last_run_at),
        "outcome": state.outcome,
        "dryRun": result.get("dryRun"),
        "runtimeMs": state.runtime_ms,
        "purged": result.get("purged"),
        "code": state.code,
        "requestId": state.request_id,
        "auditId": state.audit_id,
    }


def _rails(state: MaintenanceState | None) -> dict[str, Any]:
    limits = settings.MONEY_RAIL_RECONCILE
    return {
        "enabled": bool(limits["enabled"]) and is_scheduled(RAILS_TASK),
        "intervalSeconds": limits["interval_seconds"],
        "maxTenants": limits["max_tenants"],
        "maxPeriodsPerTenant": limits["max_periods_per_tenant"],
        "maxProvidersPerTenant": limits["max_providers_per_tenant"],
        **_last_run(state),
    }


def _finance(state: MaintenanceState | None) -> dict[str, Any]:
    limits = settings.FINANCE_RECONCILE
    return {
        "enabled": bool(limits["enabled"]) and is_scheduled(FINANCE_TASK),
        "intervalSeconds": limits["interval_seconds"],
        "maxTenants": limits["max_tenants"],
        "maxPeriodsPerTenant": limits["max_periods_per_tenant"],
        **_last_run(state),
    }


def _invariants(state: MaintenanceState | None) -> dict[str, Any]:
    """Tell when the tenant's invariants were last looked at; `broken` names those that do not hold."""
    limits = settings.INVARIANTS
    result = (state.last_result if state else None) or {}
    return {
        "enabled": bool(limits["enabled"]) and is_scheduled(INVARIANTS_TASK),
        "intervalSeconds": limits["interval_seconds"],
        "maxTenants": limits["max_tenants"],
        "broken": [row["name"] for row in result.get("results", []) if row["status"] == "fail"],
        **_last_run(state),
    }


def _stripe_sync() -> dict[str, Any]:
    return {
        "enabled": is_scheduled(STRIPE_SYNC_TASK),
        "intervalSeconds": None,
        "batchSize": None,
        "lastRunAt": None,
        "lastSuccessAt": None,
        "lastResult": None,
    }
