"""Locking a run and its settlement, in the order of the kernel spec 2.9."""

import json
from typing import Any

from settld.core import rows
from settld.kernel import wire
from settld.kernel.models import Run, Settlement
from settld.kernel.queries import agents
from settld.kernel.queries.runs import RunNotFound
from settld.kernel.queries.settlements import Settled, SettlementNotFound

_DOCUMENTS = """
(SELECT body FROM decision_record WHERE tenant_id = own.tenant_id AND decision_id = own.decision_id),
(SELECT body FROM settlement_receipt WHERE tenant_id = own.tenant_id AND receipt_id = own.receipt_id)
"""


def lock_run(*, tenant_id: str, run_id: str, agent_id: str | None = None) -> Run:
    """Lock a run's row. With `agent_id` it must be that agent's.

    Raises RunNotFound; AgentNotFound where not even the agent is there.
    """
    run = rows.first(Run, "tenant_id = %s AND run_id = %s FOR UPDATE", [tenant_id, run_id])
    if run is None or agent_id not in (None, run.agent_id):
        if agent_id is not None:
            agents.get(tenant_id=tenant_id, agent_id=agent_id)
        raise RunNotFound()
    return run


def lock_settlement(run: Run) -> Settled | None:
    """Lock the settlement of a locked run and read its newest pair of documents; None where it has none.

    One statement: whoever changes a settlement holds its run, so no newer pair can have come in meanwhile.
    """
    found = rows.first_beside(
        Settlement, "tenant_id = %s AND run_id = %s FOR UPDATE", _DOCUMENTS, [run.tenant_id, run.run_id]
    )
    if found is None:
        return None
    row, (decision, receipt) = found
    return Settled(
        row=row,
        settlement=wire.settlement_json(row),
        decision_record=_object(decision),
        settlement_receipt=_object(receipt),
    )


def require_settlement(run: Run) -> Settled:
    """Lock the settlement of a locked run. Raises SettlementNotFound."""
    settled = lock_settlement(run)
    if settled is None:
        raise SettlementNotFound()
    return settled


def _object(body: Any) -> dict[str, Any] | None:
    found: dict[str, Any] | None = json.loads(body) if isinstance(body, str) else body
    return found
