"""Writing down where a kind of maintenance stands."""

import datetime as dt
from typing import Any

from settld.core import tenancy, transactions
from settld.maintenance.models import MaintenanceState
from settld.maintenance.queries import HEARTBEAT
from settld.maintenance.states import GLOBAL, RunOutcome


def note_state(
    *,
    tenant_id: str,
    kind: str,
    outcome: RunOutcome,
    ran_at: dt.datetime,
    finished_at: dt.datetime,
    runtime_ms: int,
    result: dict[str, Any] | None,
    code: str | None = None,
    request_id: str | None = None,
    audit_id: int | None = None,
    next_eligible_at: dt.datetime | None = None,
) -> None:
    """Note a finished run that covered a tenant; the caller is in the tenant's scope.

    `result` holds nothing about other tenants. A run over all calls this once for each tenant that it
    covered, and once for `*`.
    """
    changes: dict[str, Any] = {
        "last_run_at": ran_at,
        "last_result": result,
        "outcome": outcome,
        "code": code,
        "runtime_ms": runtime_ms,
        "request_id": request_id,
        "audit_id": audit_id,
        "updated_at": finished_at,
    }
    if next_eligible_at is not None:
        changes["next_eligible_at"] = next_eligible_at
    if outcome == RunOutcome.OK:
        changes["last_success_at"] = finished_at
    MaintenanceState.objects.update_or_create(tenant_id=tenant_id, kind=kind, defaults=changes)


def beat(*, now: dt.datetime) -> None:
    """Note that beat's tick reached a worker."""
    with tenancy.tenant_scope(GLOBAL), transactions.atomic():
        note_state(
            tenant_id=GLOBAL,
            kind=HEARTBEAT,
            outcome=RunOutcome.OK,
            ran_at=now,
            finished_at=now,
            runtime_ms=0,
            result=None,
        )
