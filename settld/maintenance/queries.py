"""Reading what maintenance has done."""

import datetime as dt
from typing import Any

from django.db import DatabaseError

from settld.core import clock, tenancy
from settld.maintenance.models import MaintenanceState
from settld.maintenance.states import GLOBAL

HEARTBEAT = "beat_heartbeat"


def states(*, tenant_id: str) -> dict[str, MaintenanceState]:
    """Give a tenant's states by kind; the caller is in the tenant's scope."""
    return {row.kind: row for row in MaintenanceState.objects.filter(tenant_id=tenant_id)}


def global_state(*, kind: str) -> MaintenanceState | None:
    """Give the state of a kind as a whole: its gate and its last run over all tenants."""
    with tenancy.tenant_scope(GLOBAL):
        return MaintenanceState.objects.filter(tenant_id=GLOBAL, kind=kind).first()


def last_heartbeat() -> tuple[dt.datetime | None, dt.datetime | None]:
    """Tell when beat's last tick reached a worker, and when one last succeeded."""
    state = global_state(kind=HEARTBEAT)
    return (state.last_run_at, state.last_success_at) if state else (None, None)


def health_detail() -> dict[str, Any]:
    """Give the heartbeat as /healthz shows it; nothing when the database does not say."""
    try:
        ticked_at, succeeded_at = last_heartbeat()
    except DatabaseError:
        return {}
    return {"autotickLastTickAt": clock.iso(ticked_at), "autotickLastSuccessAt": clock.iso(succeeded_at)}
