"""What /metrics tells of maintenance: when each kind last ran, and how that went."""

from collections.abc import Iterator

from settld.api.metrics import Sample
from settld.core import tenancy
from settld.maintenance import queries, status
from settld.maintenance.models import MaintenanceState
from settld.maintenance.states import GLOBAL, RunOutcome, RunScope

KINDS = (status.RETENTION, status.FINANCE, status.RAILS, status.INVARIANTS)


def samples() -> Iterator[Sample]:
    """Give the gauges of the tenant in scope; over the whole platform, those of the runs over all."""
    states = queries.states(tenant_id=tenancy.current().tenant_id or GLOBAL)
    for kind in KINDS:
        state = states.get(kind)
        if state is None:
            continue
        label = {"kind": kind}
        if state.last_run_at:
            yield Sample("maintenance_last_run_unixtime", state.last_run_at.timestamp(), label)
        if state.last_success_at:
            yield Sample("maintenance_last_success_unixtime", state.last_success_at.timestamp(), label)
        yield Sample("maintenance_last_run_ok_gauge", float(state.outcome == RunOutcome.OK), label)
    retention = states.get(status.RETENTION)
    if retention is not None:
        yield _runtime(retention)


def _runtime(state: MaintenanceState) -> Sample:
    result = state.last_result or {}
    labels = {
        "result": str(state.outcome),
        "scope": result.get("scope", RunScope.TENANT.value),
        "dry_run": str(bool(result.get("dryRun"))).lower(),
    }
    return Sample("retention_run_seconds", (state.runtime_ms or 0) / 1000, labels)
