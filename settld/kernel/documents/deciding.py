"""What decided a settlement, and proof of where it stands (kernel spec 6.3, 6.4)."""

from collections.abc import Mapping
from typing import Any, Final

from settld.core.hashing import canonical_hash
from settld.policies import normalization

DECISION_SCHEMA: Final = "SettlementDecisionRecord.v2"
RECEIPT_SCHEMA: Final = "SettlementReceipt.v1"
FINALITY_PROVIDER: Final = "internal_ledger"


def decision_record(
    *,
    decision_id: str,
    tenant_id: str,
    run_id: str,
    settlement_id: str,
    agreement_id: str | None,
    decision_status: str,
    decision_mode: str,
    decision_reason: str | None,
    verification_status: str | None,
    policy_hash: str | None,
    verification_method_hash: str | None,
    verifier_ref: Mapping[str, Any],
    run_status: str,
    run_last_event_id: str | None,
    run_last_chain_hash: str | None,
    resolution_event_id: str | None,
    decided_at: str,
) -> dict[str, Any]:
    """Make a SettlementDecisionRecord.v2 (`dec_setl_<uuid>`), hashed as `decisionHash`.

    `policy_hash` and `verification_method_hash` are those of the agreement, None for a direct run.
    `verifier_ref` comes from `settld.policies.evaluation.verifier_ref`.
    """
    record = {
        "schemaVersion": DECISION_SCHEMA,
        "decisionId": decision_id,
        "tenantId": tenant_id,
        "runId": run_id,
        "settlementId": settlement_id,
        "agreementId": agreement_id,
        "decisionStatus": decision_status,
        "decisionMode": decision_mode,
        "decisionReason": decision_reason,
        "verificationStatus": verification_status,
        "policyNormalizationVersion": normalization.NORMALIZATION_VERSION,
        "policyHashUsed": policy_hash or normalization.DEFAULT_POLICY_HASH,
        "verificationMethodHashUsed": verification_method_hash or normalization.DEFAULT_METHOD_HASH,
        "policyRef": {"policyHash": policy_hash, "verificationMethodHash": verification_method_hash},
        "verifierRef": {
            key: verifier_ref[key] for key in ("verifierId", "verifierVersion", "verifierHash", "modality")
        },
        "workRef": {
            "runStatus": run_status,
            "runLastEventId": run_last_event_id,
            "runLastChainHash": run_last_chain_hash,
            "resolutionEventId": resolution_event_id,
        },
        "decidedAt": decided_at,
    }
    return {**record, "decisionHash": canonical_hash(record)}


def settlement_receipt(
    *,
    receipt_id: str,
    tenant_id: str,
    run_id: str,
    settlement_id: str,
    decision: Mapping[str, Any],
    status: str,
    amount_cents: int,
    released_amount_cents: int,
    refunded_amount_cents: int,
    release_rate_pct: int | None,
    currency: str,
    run_status: str,
    resolution_event_id: str | None,
    is_final: bool,
    settled_at: str | None,
    created_at: str,
) -> dict[str, Any]:
    """Make a SettlementReceipt.v1 (`rcpt_setl_<uuid>`), hashed as `receiptHash`, bound to a decision record.

    `decision` is the record made by `decision_record`. A pending receipt has no `settled_at`; a final one
    must have it (ValueError).
    """
    if is_final != (settled_at is not None):
        raise ValueError("a receipt is final exactly when it is settled")
    receipt = {
        "schemaVersion": RECEIPT_SCHEMA,
        "receiptId": receipt_id,
        "tenantId": tenant_id,
        "runId": run_id,
        "settlementId": settlement_id,
        "decisionRef": {"decisionId": decision["decisionId"], "decisionHash": decision["decisionHash"]},
        "status": status,
        "amountCents": amount_cents,
        "releasedAmountCents": released_amount_cents,
        "refundedAmountCents": refunded_amount_cents,
        "releaseRatePct": release_rate_pct,
        "currency": currency,
        "runStatus": run_status,
        "resolutionEventId": resolution_event_id,
        "finalityProvider": FINALITY_PROVIDER,
        "finalityState": "final" if is_final else "pending",
        "settledAt": settled_at,
        "createdAt": created_at,
    }
    return {**receipt, "receiptHash": canonical_hash(receipt)}


def decision_trace(
    *,
    phase: str,
    verifier_execution: Mapping[str, Any] | None,
    policy_decision: Mapping[str, Any] | None,
    decision_record: Mapping[str, Any],
    settlement_receipt: Mapping[str, Any],
) -> dict[str, Any]:
    """Make the `decisionTrace` of a settlement: which phase decided, on what grounds, and the bound pair.

    `verifier_execution` comes from `settld.policies.evaluation.verifier_execution`, `policy_decision` from
    `Evaluation.as_json`; both are null where there was none. A manual resolution adds resolvedByAgentId
    and input.
    """
    return {
        "phase": phase,
        "verifierExecution": verifier_execution,
        "policyDecision": policy_decision,
        "decisionRecord": decision_record,
        "settlementReceipt": settlement_receipt,
    }
