"""Reading runs and their events."""

from dataclasses import dataclass

from django.db.models import QuerySet

from settld.core import rows
from settld.core.errors import NotFound
from settld.kernel import chain, folding, wire
from settld.kernel.models import Run, RunEvent


class RunNotFound(NotFound):
    """The tenant, or the agent that was named, has no such run."""

    message = "run not found"


def find(*, tenant_id: str, run_id: str, agent_id: str | None = None) -> Run | None:
    """Give a run, or None; with `agent_id` only where it is that agent's."""
    run = rows.first(Run, "tenant_id = %s AND run_id = %s", [tenant_id, run_id])
    return None if run is None or agent_id not in (None, run.agent_id) else run


def get(*, tenant_id: str, run_id: str, agent_id: str | None = None) -> Run:
    """Give a run. Raises RunNotFound, also for another agent's."""
    run = find(tenant_id=tenant_id, run_id=run_id, agent_id=agent_id)
    if run is None:
        raise RunNotFound()
    return run


def listing(*, tenant_id: str, agent_id: str | None, status: str | None = None) -> QuerySet[Run]:
    """List an agent's runs, or those of all agents, newest first."""
    found = Run.objects.filter(tenant_id=tenant_id)
    if agent_id is not None:
        found = found.filter(agent_id=agent_id)
    if status is not None:
        found = found.filter(status=status)
    return found.order_by("-created_at", "run_id")


def events(*, tenant_id: str, run_id: str) -> list[RunEvent]:
    """List a run's events in order."""
    return rows.every(RunEvent, "tenant_id = %s AND run_id = %s ORDER BY seq", [tenant_id, run_id])


@dataclass(frozen=True, slots=True)
class RunCheck:
    """Whether a stored run is what its stored events say; `reason` names the first thing that is not."""

    ok: bool
    event_count: int
    reason: str | None = None


def check(*, tenant_id: str, run_id: str) -> RunCheck:
    """Walk a stored run: every event unchanged, chained and signed, and their sum the run's row.

    Reasons are those of `chain.check`, then events_do_not_fold and run_differs_from_events. Raises
    RunNotFound.
    """
    run = get(tenant_id=tenant_id, run_id=run_id)
    stored = [wire.event_json(event) for event in events(tenant_id=tenant_id, run_id=run_id)]
    walked = chain.check(stored)
    if not walked.ok:
        return RunCheck(ok=False, event_count=len(stored), reason=walked.reason)
    try:
        folded = folding.fold_all(stored, tenant_id=tenant_id)
    except folding.RunUpdateRejected:
        return RunCheck(ok=False, event_count=len(stored), reason="events_do_not_fold")
    if folded != wire.run_json(run):
        return RunCheck(ok=False, event_count=len(stored), reason="run_differs_from_events")
    return RunCheck(ok=True, event_count=len(stored))
