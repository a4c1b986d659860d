"""The pair of documents of each phase of a settlement: a decision record and a receipt bound to it (6.4)."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from settld.core import clock, ids
from settld.kernel import documents, wire
from settld.kernel.models import DecisionRecord, Settlement, SettlementReceipt
from settld.kernel.services import row_writing
from settld.kernel.states import Finality, SettlementStatus

RUN_CREATED: Final = "run.created"
AGREEMENT_ACCEPTED: Final = "agreement.accepted"
AUTO_RESOLVED: Final = "run.terminal.auto_resolved"
AWAITING_MANUAL: Final = "run.terminal.awaiting_manual_resolution"
MANUAL_RESOLVE: Final = "run.settlement.manual_resolve"


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a decision rests on. The hashes are those of an agreement's pinned policy; None without one."""

    verification_status: str
    policy_hash: str | None
    verification_method_hash: str | None
    verifier_ref: Mapping[str, Any]
    verifier_execution: Mapping[str, Any] | None = None
    policy_decision: Mapping[str, Any] | None = None


def write_first(
    settlement: Settlement, *, run: Mapping[str, Any], phase: str, grounds: Grounds, now: dt.datetime
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Insert a settlement together with the pair of its first phase; gives the two documents."""
    decision, receipt = _seal(settlement, run=run, phase=phase, grounds=grounds, more={}, now=now)
    row_writing.insert_settlement(settlement, decision, receipt)
    return decision.body, receipt.body


def write(
    settlement: Settlement,
    *,
    run: Mapping[str, Any],
    phase: str,
    grounds: Grounds,
    now: dt.datetime,
    more: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write a locked settlement as the caller has changed it, with the pair of this phase.

    `run` is the AgentRun.v1 that the documents speak of; `more` is added to the decision trace. Gives
    (decision record, receipt) as stored. The settlement's revision goes up by one.
    """
    settlement.revision += 1
    decision, receipt = _seal(settlement, run=run, phase=phase, grounds=grounds, more=more or {}, now=now)
    row_writing.update_settlement(settlement, decision, receipt)
    return decision.body, receipt.body


def _seal(
    settlement: Settlement,
    *,
    run: Mapping[str, Any],
    phase: str,
    grounds: Grounds,
    more: Mapping[str, Any],
    now: dt.datetime,
) -> tuple[DecisionRecord, SettlementReceipt]:
    """Make the pair and note it on the settlement."""
    record = _decision(settlement, run=run, grounds=grounds, now=now)
    receipt = _receipt(settlement, record=record, run=run, now=now)
    settlement.decision_id, settlement.receipt_id = record["decisionId"], receipt["receiptId"]
    settlement.decision_updated_at = settlement.updated_at = now
    trace = documents.decision_trace(
        phase=phase,
        verifier_execution=grounds.verifier_execution,
        policy_decision=grounds.policy_decision,
        decision_record=record,
        settlement_receipt=receipt,
    )
    settlement.decision_trace = {**trace, **more}
    return (
        DecisionRecord(
            tenant_id=settlement.tenant_id,
            decision_id=record["decisionId"],
            run_id=settlement.run_id,
            settlement_id=settlement.settlement_id,
            phase=phase,
            decision_status=settlement.decision_status,
            decided_at=now,
            decision_hash=record["decisionHash"],
            body=record,
        ),
        SettlementReceipt(
            tenant_id=settlement.tenant_id,
            receipt_id=receipt["receiptId"],
            run_id=settlement.run_id,
            settlement_id=settlement.settlement_id,
            decision_id=record["decisionId"],
            agent_id=settlement.agent_id,
            status=settlement.status,
            amount_cents=settlement.amount_cents,
            released_cents=settlement.released_cents,
            refunded_cents=settlement.refunded_cents,
            currency=settlement.currency,
            finality_state=_finality(settlement),
            settled_at=settlement.resolved_at,
            created_at=now,
            receipt_hash=receipt["receiptHash"],
            body=receipt,
        ),
    )


def _decision(
    settlement: Settlement, *, run: Mapping[str, Any], grounds: Grounds, now: dt.datetime
) -> dict[str, Any]:
    return documents.decision_record(
        decision_id=f"dec_setl_{ids.uuid7()}",
        tenant_id=settlement.tenant_id,
        run_id=settlement.run_id,
        settlement_id=settlement.settlement_id,
        agreement_id=settlement.agreement_id,
        decision_status=settlement.decision_status,
        decision_mode=settlement.decision_mode,
        decision_reason=settlement.decision_reason,
        verification_status=grounds.verification_status,
        policy_hash=grounds.policy_hash,
        verification_method_hash=grounds.verification_method_hash,
        verifier_ref=grounds.verifier_ref,
        run_status=run["status"],
        run_last_event_id=run["lastEventId"],
        run_last_chain_hash=run["lastChainHash"],
        resolution_event_id=settlement.resolution_event_id,
        decided_at=wire.iso(now),
    )


def _receipt(
    settlement: Settlement, *, record: Mapping[str, Any], run: Mapping[str, Any], now: dt.datetime
) -> dict[str, Any]:
    return documents.settlement_receipt(
        receipt_id=f"rcpt_setl_{ids.uuid7()}",
        tenant_id=settlement.tenant_id,
        run_id=settlement.run_id,
        settlement_id=settlement.settlement_id,
        decision=record,
        status=settlement.status,
        amount_cents=settlement.amount_cents,
        released_amount_cents=settlement.released_cents,
        refunded_amount_cents=settlement.refunded_cents,
        release_rate_pct=settlement.release_rate_pct,
        currency=settlement.currency,
        run_status=run["status"],
        resolution_event_id=settlement.resolution_event_id,
        is_final=_finality(settlement) == Finality.FINAL,
        settled_at=clock.iso(settlement.resolved_at),
        created_at=wire.iso(now),
    )


def _finality(settlement: Settlement) -> Finality:
    return Finality.PENDING if settlement.status == SettlementStatus.LOCKED else Finality.FINAL
