"""Appending to a run's chain of events; the last one settles its money (kernel spec 5, 6.3)."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from settld.core import canonical_json, failpoints, ids, transactions
from settld.core.canonical_json import CanonicalJsonError
from settld.core.errors import Conflict
from settld.kernel import chain, folding, wire
from settld.kernel.folding import InvalidPayload
from settld.kernel.models import Run, RunEvent
from settld.kernel.queries.settlements import Settled
from settld.kernel.services import locking, row_writing, settling
from settld.kernel.states import RUN_ENDS, SettlementStatus
from settld.kernel.verification import verification_of
from settld.metering.services import usage

MOST_ACTOR_BYTES: Final = 2000


class EventAppendConflict(Conflict):
    """Somebody else has appended since the caller looked; details name both heads of the chain."""

    message = "event append conflict"


@dataclass(frozen=True, slots=True)
class Appended:
    """An event as sealed, the run that it leads to, and where the run's settlement stands, if it has one."""

    event: dict[str, Any]
    run: dict[str, Any]
    settled: Settled | None


def append(
    *,
    tenant_id: str,
    agent_id: str,
    run_id: str,
    event_type: str,
    payload: Any = None,
    actor: Any = None,
    expected_prev_chain_hash: str | None,
    now: dt.datetime,
) -> Appended:
    """Add an event after the one that the caller saw last; a terminal event settles the run's money.

    `event_type` has passed `folding.appendable_type`. The run's row is locked, so of two appends to one
    head one wins. At a terminal event money, documents and billable use commit with the event. Raises, in
    this order: AgentNotFound or RunNotFound, EventAppendConflict, InvalidPayload, RunUpdateRejected, the
    refusals of settling, BillingPlanLimitExceeded; each undoes everything.
    """
    with transactions.joined():
        row = locking.lock_run(tenant_id=tenant_id, run_id=run_id, agent_id=agent_id)
        if row.last_chain_hash != expected_prev_chain_hash:
            raise EventAppendConflict(
                details={
                    "expectedPrevChainHash": row.last_chain_hash,
                    "gotExpectedPrevChainHash": expected_prev_chain_hash,
                }
            )
        event = chain.sealed(
            event_id=f"evt_{ids.uuid7().hex}",
            at=wire.iso(now),
            run_id=run_id,
            event_type=event_type,
            actor=actor_of(actor, agent_id=agent_id),
            payload=folding.payload_of(event_type=event_type, run_id=run_id, given=payload),
            prev_chain_hash=row.last_chain_hash,
        )
        run = folding.fold(wire.run_json(row), event, tenant_id=tenant_id)
        settled = locking.lock_settlement(row)
        is_end = run["status"] in RUN_ENDS
        was_locked = settled is not None and settled.row.status == SettlementStatus.LOCKED
        if is_end and settled is not None and was_locked:
            settled = settling.at_the_end(
                settled, run=run, verification=verification_of(run), event_id=event["id"], now=now
            )
        _write(row, run=run, event=event)
        if is_end:
            _record_use(run=run, event_id=event["id"], settled=settled, was_locked=was_locked, now=now)
        failpoints.hit("kernel.append_event.before_commit")
    return Appended(event=event, run=run, settled=settled)


def actor_of(given: Any, *, agent_id: str) -> dict[str, str]:
    """Read who an event is by: {type, id}; the run's agent where nobody is named. Raises InvalidPayload."""
    if given is None:
        return chain.agent_actor(agent_id)
    if not isinstance(given, Mapping):
        raise InvalidPayload(details={"message": "actor must be an object"})
    actor = {key: given.get(key) for key in ("type", "id")}
    if not all(isinstance(text, str) and text.strip() and "\x00" not in text for text in actor.values()):
        raise InvalidPayload(details={"message": "actor must have a type and an id"})
    try:
        size = len(canonical_json.dumps(actor))
    except CanonicalJsonError as error:
        raise InvalidPayload(details={"message": str(error)}) from error
    if size > MOST_ACTOR_BYTES:
        raise InvalidPayload(details={"message": f"actor takes more than {MOST_ACTOR_BYTES} bytes"})
    return {key: str(text).strip() for key, text in actor.items()}


def _write(row: Run, *, run: Mapping[str, Any], event: Mapping[str, Any]) -> None:
    for name, value in wire.run_columns(run).items():
        setattr(row, name, value)
    row_writing.add_event(
        row, RunEvent(**wire.event_columns(event, tenant_id=row.tenant_id, seq=row.revision))
    )


def _record_use(
    *, run: Mapping[str, Any], event_id: str, settled: Settled | None, was_locked: bool, now: dt.datetime
) -> None:
    """Bill the verified run, where the plan still allows one, and the volume that it settled."""
    tenant_id, run_id = run["tenantId"], run["runId"]
    settlement = None if settled is None else settled.row
    usage.record_verified_run(
        tenant_id=tenant_id,
        run_id=run_id,
        run_event_id=event_id,
        settlement_id=None if settlement is None else settlement.settlement_id,
        now=now,
    )
    if settlement is None or not was_locked or settlement.status == SettlementStatus.LOCKED:
        return
    usage.record_settled_volume(
        tenant_id=tenant_id,
        run_id=run_id,
        settlement_id=settlement.settlement_id,
        resolution_event_id=event_id,
        released_cents=settlement.released_cents,
        currency=settlement.currency,
        source_type="agent_run_settlement",
        now=now,
    )
