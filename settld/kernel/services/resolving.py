"""A person's resolution of a settlement whose run has ended (kernel spec 6.6)."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from settld.audit import services as audit
from settld.core import failpoints, ids, transactions
from settld.core.errors import Conflict
from settld.core.principals import Actor
from settld.kernel import bindings, wire
from settld.kernel.models import Run
from settld.kernel.queries.settlements import Settled
from settld.kernel.services import decisions, locking, settling
from settld.kernel.services.decisions import Grounds
from settld.kernel.services.resolution import Asked, split
from settld.kernel.states import RUN_ENDS, DecisionMode, DecisionStatus, SettlementStatus
from settld.kernel.verification import verification_of
from settld.metering.services import usage

DEFAULT_REASON: Final = "manual settlement resolution"


class AlreadyResolved(Conflict):
    """The money has moved."""

    message = "run settlement is already resolved"


class RunNotTerminal(Conflict):
    """The run goes on; it is too early to decide."""

    message = "run is not in a terminal state"


def resolve(
    *,
    tenant_id: str,
    run_id: str,
    asked: Asked,
    reason: str | None = None,
    resolved_by_agent_id: str | None = None,
    resolution_event_id: str | None = None,
    actor: Actor,
    now: dt.datetime,
) -> Settled:
    """Resolve a locked settlement as a person asks, with the documents and the billable volume of it.

    Raises RunNotFound, SettlementNotFound (404), AlreadyResolved, RunNotTerminal,
    SettlementKernelBindingInvalid (409), Invalid where the split contradicts the amount, EventRejected
    where the month is closed, and what the books refuse.
    """
    with transactions.joined():
        run = locking.lock_run(tenant_id=tenant_id, run_id=run_id)
        settled = locking.require_settlement(run)
        settlement = settled.row
        if settlement.status != SettlementStatus.LOCKED:
            raise AlreadyResolved(details={"runId": run_id, "status": settlement.status})
        if run.status not in RUN_ENDS:
            raise RunNotTerminal(details={"runId": run_id, "runStatus": run.status})
        bindings.require_valid(
            run_id=run_id,
            settlement=settled.settlement,
            decision_record=settled.decision_record,
            settlement_receipt=settled.settlement_receipt,
        )
        parts = split(asked, amount_cents=settlement.amount_cents)
        event_id = resolution_event_id or f"manual_setl_{ids.uuid7().hex}"
        settlement.run_status = run.status
        settlement.decision_status = DecisionStatus.MANUAL_RESOLVED
        settlement.decision_mode = DecisionMode.MANUAL_REVIEW
        settlement.decision_reason = reason or DEFAULT_REASON
        settling.resolve(
            settlement,
            released_cents=parts.released_cents,
            release_rate_pct=parts.release_rate_pct,
            resolution_event_id=event_id,
            now=now,
        )
        given = {
            "status": asked.status,
            "releaseRatePct": asked.release_rate_pct,
            "releasedAmountCents": asked.released_cents,
            "refundedAmountCents": asked.refunded_cents,
            "reason": reason,
            "resolvedByAgentId": resolved_by_agent_id,
            "resolutionEventId": resolution_event_id,
        }
        decision, receipt = _write(run, settled, by_agent_id=resolved_by_agent_id, given=given, now=now)
        usage.record_settled_volume(
            tenant_id=tenant_id,
            run_id=run_id,
            settlement_id=settlement.settlement_id,
            resolution_event_id=event_id,
            released_cents=parts.released_cents,
            currency=settlement.currency,
            source_type="manual_settlement_resolution",
            now=now,
        )
        audit.append(
            tenant_id=tenant_id,
            actor=actor,
            action="RUN_SETTLEMENT_RESOLVED",
            target_type="agent_run_settlement",
            target_id=settlement.settlement_id,
            details={**asdict(parts), "status": settlement.status, "reason": settlement.decision_reason,
                     "resolvedByAgentId": resolved_by_agent_id, "resolutionEventId": event_id},
            at=now,
        )  # fmt: skip
        failpoints.hit("kernel.resolve.before_commit")
    return Settled(settlement, wire.settlement_json(settlement), decision, receipt)


def _write(
    run: Run, settled: Settled, *, by_agent_id: str | None, given: Mapping[str, Any], now: dt.datetime
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write the settlement with its pair, on the policy and verifier that the decision before it named."""
    before = settled.decision_record or {}
    trace = settled.settlement["decisionTrace"] or {}
    folded = wire.run_json(run)
    return decisions.write(
        settled.row,
        run=folded,
        phase=decisions.MANUAL_RESOLVE,
        grounds=Grounds(
            verification_status=verification_of(folded)["verificationStatus"],
            policy_hash=before["policyRef"]["policyHash"],
            verification_method_hash=before["policyRef"]["verificationMethodHash"],
            verifier_ref=before["verifierRef"],
            verifier_execution=trace.get("verifierExecution"),
            policy_decision=trace.get("policyDecision"),
        ),
        more={"resolvedByAgentId": by_agent_id, "input": dict(given)},
        now=now,
    )
