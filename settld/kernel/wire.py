"""How the kernel's rows look on the wire, in the spec's order; and rows from wire objects where runs fold.

These functions only read columns. Hashed documents (decision records, receipts, adjustments) are served as
stored, because their hash covers every member.
"""

from collections.abc import Mapping
from typing import Any, Final

from settld.core import clock, money
from settld.kernel import chain, documents, folding
from settld.kernel.identifiers import DEFAULT_CURRENCY, wallet_id
from settld.kernel.models import (
    Adjustment,
    Agent,
    DecisionRecord,
    Dispute,
    DisputeEvidence,
    FundingHold,
    FundingReceipt,
    Run,
    RunEvent,
    Settlement,
    SettlementReceipt,
    Wallet,
)

AGENT_SCHEMA: Final = "AgentIdentity.v1"
WALLET_SCHEMA: Final = "AgentWallet.v1"
SETTLEMENT_SCHEMA: Final = "AgentRunSettlement.v1"
DISPUTE_SCHEMA: Final = "AgentRunDispute.v1"


def agent_json(row: Agent) -> dict[str, Any]:
    """Shape an AgentIdentity.v1."""
    return {
        "schemaVersion": AGENT_SCHEMA,
        "agentId": row.agent_id,
        "tenantId": row.tenant_id,
        "displayName": row.display_name,
        "description": row.description,
        "status": row.status,
        "owner": {"ownerType": row.owner_type, "ownerId": row.owner_id},
        "keys": {"keyId": row.key_id, "algorithm": "ed25519", "publicKeyPem": row.public_key_pem},
        "capabilities": row.capabilities,
        "walletPolicy": row.wallet_policy,
        "metadata": row.metadata,
        "createdAt": clock.iso(row.created_at),
        "updatedAt": clock.iso(row.updated_at),
    }


def wallet_json(row: Wallet) -> dict[str, Any]:
    """Shape an AgentWallet.v1."""
    return {
        "schemaVersion": WALLET_SCHEMA,
        "walletId": row.wallet_id,
        "tenantId": row.tenant_id,
        "agentId": row.agent_id,
        "currency": row.currency,
        "availableCents": row.available_cents,
        "escrowLockedCents": row.escrow_locked_cents,
        "totalDebitedCents": money.exact(row.total_debited_cents),
        "totalCreditedCents": money.exact(row.total_credited_cents),
        "revision": row.revision,
        "createdAt": clock.iso(row.created_at),
        "updatedAt": clock.iso(row.updated_at),
    }


def no_wallet_json(*, tenant_id: str, agent_id: str) -> dict[str, Any]:
    """Shape the wallet of an agent that has none yet: zeros, revision 0, no instants."""
    return {
        "schemaVersion": WALLET_SCHEMA,
        "walletId": wallet_id(agent_id),
        "tenantId": tenant_id,
        "agentId": agent_id,
        "currency": DEFAULT_CURRENCY,
        "availableCents": 0,
        "escrowLockedCents": 0,
        "totalDebitedCents": 0,
        "totalCreditedCents": 0,
        "revision": 0,
        "createdAt": None,
        "updatedAt": None,
    }


def funding_receipt_json(row: FundingReceipt) -> dict[str, Any]:
    """Shape a WalletFundingReceipt.v1; the hash is the stored one."""
    made = documents.funding_receipt(
        receipt_id=row.receipt_id,
        tenant_id=row.tenant_id,
        wallet_id=row.wallet_id,
        agent_id=row.agent_id,
        amount_cents=row.amount_cents,
        currency=row.currency,
        source_type=row.source_type,
        external_ref=row.external_ref,
        journal_entry_id=row.journal_entry_id,
        created_at=iso(row.created_at),
    )
    return {**made, "receiptHash": row.receipt_hash}


def run_json(row: Run) -> dict[str, Any]:
    """Shape an AgentRun.v1: what `folding.fold` takes and gives."""
    return {
        "schemaVersion": folding.RUN_SCHEMA,
        "runId": row.run_id,
        "tenantId": row.tenant_id,
        "agentId": row.agent_id,
        "taskType": row.task_type,
        "inputRef": row.input_ref,
        "status": row.status,
        "evidenceRefs": row.evidence_refs,
        "metrics": row.metrics,
        "failure": None if row.failure is None else {key: row.failure[key] for key in ("code", "message")},
        "startedAt": clock.iso(row.started_at),
        "completedAt": clock.iso(row.completed_at),
        "failedAt": clock.iso(row.failed_at),
        "revision": row.revision,
        "lastEventId": row.last_event_id,
        "lastChainHash": row.last_chain_hash,
        "createdAt": clock.iso(row.created_at),
        "updatedAt": clock.iso(row.updated_at),
    }


def run_columns(run: Mapping[str, Any]) -> dict[str, Any]:
    """Give the columns of a folded AgentRun.v1, by field name: for a new row, or to update one with."""
    return {
        "tenant_id": run["tenantId"],
        "run_id": run["runId"],
        "agent_id": run["agentId"],
        "task_type": run["taskType"],
        "input_ref": run["inputRef"],
        "status": run["status"],
        "evidence_refs": run["evidenceRefs"],
        "metrics": run["metrics"],
        "failure": run["failure"],
        "started_at": _instant(run["startedAt"]),
        "completed_at": _instant(run["completedAt"]),
        "failed_at": _instant(run["failedAt"]),
        "revision": run["revision"],
        "last_event_id": run["lastEventId"],
        "last_chain_hash": run["lastChainHash"],
        "created_at": _instant(run["createdAt"]),
        "updated_at": _instant(run["updatedAt"]),
    }


def event_json(row: RunEvent) -> dict[str, Any]:
    """Shape a stored AgentEvent.v1: as `chain.sealed` made it, with its tenant and instants."""
    event = {
        "schemaVersion": chain.EVENT_SCHEMA,
        "v": 1,
        "id": row.event_id,
        "at": iso(row.at),
        "streamId": row.run_id,
        "type": row.type,
        "actor": row.actor,
        "payload": row.payload,
        "payloadHash": row.payload_hash,
        "prevChainHash": row.prev_chain_hash,
        "chainHash": row.chain_hash,
        "signature": row.signature,
        "signerKeyId": row.signer_key_id,
    }
    return served_event(event, tenant_id=row.tenant_id)


def served_event(event: Mapping[str, Any], *, tenant_id: str) -> dict[str, Any]:
    """Add to a sealed event what every wire object has (2.5); an event never changes."""
    return {**event, "tenantId": tenant_id, "createdAt": event["at"], "updatedAt": event["at"]}


def event_columns(event: Mapping[str, Any], *, tenant_id: str, seq: int) -> dict[str, Any]:
    """Give the columns of a sealed event, by field name; `seq` is the run's revision after it."""
    return {
        "tenant_id": tenant_id,
        "run_id": event["streamId"],
        "seq": seq,
        "event_id": event["id"],
        "type": event["type"],
        "at": _instant(event["at"]),
        "actor": event["actor"],
        "payload": event["payload"],
        "payload_hash": event["payloadHash"],
        "prev_chain_hash": event["prevChainHash"],
        "chain_hash": event["chainHash"],
        "signature": event["signature"],
        "signer_key_id": event["signerKeyId"],
    }


def settlement_json(row: Settlement) -> dict[str, Any]:
    """Shape an AgentRunSettlement.v1."""
    return {
        "schemaVersion": SETTLEMENT_SCHEMA,
        "settlementId": row.settlement_id,
        "tenantId": row.tenant_id,
        "runId": row.run_id,
        "agentId": row.agent_id,
        "payerAgentId": row.payer_agent_id,
        "amountCents": row.amount_cents,
        "currency": row.currency,
        "status": row.status,
        "lockedAt": clock.iso(row.locked_at),
        "resolvedAt": clock.iso(row.resolved_at),
        "resolutionEventId": row.resolution_event_id,
        "runStatus": row.run_status,
        "releasedAmountCents": row.released_cents,
        "refundedAmountCents": row.refunded_cents,
        "releaseRatePct": row.release_rate_pct,
        "disputeWindowDays": row.dispute_window_days,
        "disputeWindowEndsAt": clock.iso(row.dispute_window_ends_at),
        "disputeStatus": row.dispute_status,
        "disputeId": row.dispute_id,
        "disputeOpenedAt": clock.iso(row.dispute_opened_at),
        "disputeClosedAt": clock.iso(row.dispute_closed_at),
        "disputeVerdictId": row.dispute_verdict_id,
        "disputeVerdictHash": row.dispute_verdict_hash,
        "disputeVerdictArtifactId": row.dispute_verdict_artifact_id,
        "disputeVerdictSignerKeyId": row.dispute_verdict_signer_key_id,
        "disputeVerdictIssuedAt": clock.iso(row.dispute_verdict_issued_at),
        "disputeContext": row.dispute_context,
        "disputeResolution": row.dispute_resolution,
        "decisionStatus": row.decision_status,
        "decisionMode": row.decision_mode,
        "decisionPolicyHash": row.decision_policy_hash,
        "decisionReason": row.decision_reason,
        "decisionTrace": row.decision_trace,
        "decisionUpdatedAt": clock.iso(row.decision_updated_at),
        "revision": row.revision,
        "createdAt": clock.iso(row.created_at),
        "updatedAt": clock.iso(row.updated_at),
    }


def decision_json(row: DecisionRecord) -> dict[str, Any]:
    """Give a SettlementDecisionRecord.v2 as stored."""
    return dict(row.body)


def receipt_json(row: SettlementReceipt) -> dict[str, Any]:
    """Give a SettlementReceipt.v1 as stored."""
    return dict(row.body)


def hold_json(row: FundingHold) -> dict[str, Any]:
    """Shape a FundingHold.v1; resolvedAt and metadata are there once it is resolved."""
    hold = {
        "schemaVersion": documents.HOLD_SCHEMA,
        "tenantId": row.tenant_id,
        "agreementHash": row.agreement_hash,
        "receiptHash": row.receipt_hash,
        "payerAgentId": row.payer_agent_id,
        "payeeAgentId": row.payee_agent_id,
        "amountCents": row.amount_cents,
        "heldAmountCents": row.held_cents,
        "currency": row.currency,
        "holdbackBps": row.holdback_bps,
        "challengeWindowMs": row.challenge_window_ms,
        "createdAt": clock.iso(row.created_at),
        "holdHash": row.hold_hash,
        "status": row.status,
        "revision": row.revision,
        "updatedAt": clock.iso(row.updated_at),
    }
    if row.resolved_at is None:
        return hold
    return {**hold, "resolvedAt": clock.iso(row.resolved_at), "metadata": row.metadata}


def adjustment_json(row: Adjustment) -> dict[str, Any]:
    """Give a SettlementAdjustment.v1 or KernelAdjustment.v1 as stored, with metadata where it has any."""
    return dict(row.body) if row.metadata is None else {**row.body, "metadata": row.metadata}


def dispute_json(row: Dispute) -> dict[str, Any]:
    """Shape one dispute; the settlement mirrors the latest (8)."""
    return {
        "schemaVersion": DISPUTE_SCHEMA,
        "disputeId": row.dispute_id,
        "tenantId": row.tenant_id,
        "runId": row.run_id,
        "settlementId": row.settlement_id,
        "status": row.status,
        "context": row.context,
        "openedAt": clock.iso(row.opened_at),
        "openedByAgentId": row.opened_by_agent_id,
        "closedAt": clock.iso(row.closed_at),
        "resolution": row.resolution,
        "verdict": row.verdict,
        "createdAt": clock.iso(row.created_at),
        "updatedAt": clock.iso(row.updated_at),
    }


def dispute_evidence_json(row: DisputeEvidence) -> dict[str, Any]:
    """Shape `disputeEvidence` of a reply."""
    return {
        "evidenceRef": row.evidence_ref,
        "submittedAt": clock.iso(row.submitted_at),
        "submittedByAgentId": row.submitted_by_agent_id,
    }


def iso(instant: Any) -> str:
    """Write an instant that is always there."""
    text = clock.iso(instant)
    if text is None:
        raise ValueError("the instant is missing")
    return text


def _instant(text: str | None) -> Any:
    return None if text is None else clock.parse_iso(text)
