"""The kernel's hashed documents, as plain functions of their inputs (kernel spec 4, 6.4, 7, 8, 9.2, 9.3).

Each gives an object in wire order with its own hash as the last member. A hash covers exactly the members
listed by the spec plus schemaVersion, so a document carries nothing else: whoever holds it takes the hash
off and hashes the rest. Instants are texts as `clock.iso` writes them; ids come from the caller.

How the open spots are read here: members the spec marks with "?" are left out when there is nothing to say,
all others are there with null. `policyHashUsed` names the hashes of the defaults where there is no policy;
`policyRef` then holds nulls, because nothing was pinned.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from settld.core.hashing import canonical_hash
from settld.policies import normalization

DECISION_SCHEMA: Final = "SettlementDecisionRecord.v2"
RECEIPT_SCHEMA: Final = "SettlementReceipt.v1"
FUNDING_RECEIPT_SCHEMA: Final = "WalletFundingReceipt.v1"
HOLD_SCHEMA: Final = "FundingHold.v1"
SETTLEMENT_ADJUSTMENT_SCHEMA: Final = "SettlementAdjustment.v1"
KERNEL_ADJUSTMENT_SCHEMA: Final = "KernelAdjustment.v1"
DISPUTE_VERDICT_SCHEMA: Final = "DisputeVerdict.v1"
ARBITRATION_VERDICT_SCHEMA: Final = "ArbitrationVerdict.v1"
FINALITY_PROVIDER: Final = "internal_ledger"


def document_hash(document: Mapping[str, Any], *, but: Sequence[str]) -> str:
    """Hash a document without some members: its own hash, and what its kind leaves out besides."""
    return canonical_hash({key: value for key, value in document.items() if key not in but})


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


def funding_receipt(
    *,
    receipt_id: str,
    tenant_id: str,
    wallet_id: str,
    agent_id: str,
    amount_cents: int,
    currency: str,
    source_type: str,
    external_ref: str | None,
    journal_entry_id: str,
    created_at: str,
) -> dict[str, Any]:
    """Make a WalletFundingReceipt.v1 (`rcpt_fund_<uuid>`), hashed as `receiptHash`."""
    receipt = {
        "schemaVersion": FUNDING_RECEIPT_SCHEMA,
        "receiptId": receipt_id,
        "tenantId": tenant_id,
        "walletId": wallet_id,
        "agentId": agent_id,
        "amountCents": amount_cents,
        "currency": currency,
        "sourceType": source_type,
        "externalRef": external_ref,
        "journalEntryId": journal_entry_id,
        "createdAt": created_at,
    }
    return {**receipt, "receiptHash": canonical_hash(receipt)}


def held_amount_cents(*, amount_cents: int, holdback_bps: int) -> int:
    """Take the share that a hold sets aside: whole cents, rounded down."""
    return amount_cents * holdback_bps // 10_000


def funding_hold(
    *,
    tenant_id: str,
    agreement_hash: str,
    receipt_hash: str,
    payer_agent_id: str,
    payee_agent_id: str,
    amount_cents: int,
    currency: str,
    holdback_bps: int,
    challenge_window_ms: int,
    created_at: str,
) -> dict[str, Any]:
    """Make the hashed part of a FundingHold.v1, with `holdHash`; status, revision and the rest come beside it."""
    hold = {
        "schemaVersion": HOLD_SCHEMA,
        "tenantId": tenant_id,
        "agreementHash": agreement_hash,
        "receiptHash": receipt_hash,
        "payerAgentId": payer_agent_id,
        "payeeAgentId": payee_agent_id,
        "amountCents": amount_cents,
        "heldAmountCents": held_amount_cents(amount_cents=amount_cents, holdback_bps=holdback_bps),
        "currency": currency,
        "holdbackBps": holdback_bps,
        "challengeWindowMs": challenge_window_ms,
        "createdAt": created_at,
    }
    return {**hold, "holdHash": canonical_hash(hold)}


def settlement_adjustment(
    *,
    adjustment_id: str,
    tenant_id: str,
    agreement_hash: str,
    receipt_hash: str,
    hold_hash: str,
    kind: str,
    amount_cents: int,
    currency: str,
    created_at: str,
    verdict_ref: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a SettlementAdjustment.v1, the one effect of a hold, hashed as `adjustmentHash`.

    `verdict_ref` is {caseId, verdictHash}; it and metadata are left out where there is none, and metadata
    is not hashed.
    """
    adjustment: dict[str, Any] = {
        "schemaVersion": SETTLEMENT_ADJUSTMENT_SCHEMA,
        "adjustmentId": adjustment_id,
        "tenantId": tenant_id,
        "agreementHash": agreement_hash,
        "receiptHash": receipt_hash,
        "holdHash": hold_hash,
        "kind": kind,
        "amountCents": amount_cents,
        "currency": currency,
        "createdAt": created_at,
    }
    if verdict_ref is not None:
        adjustment["verdictRef"] = dict(verdict_ref)
    adjustment["adjustmentHash"] = canonical_hash(adjustment)
    return adjustment if metadata is None else {**adjustment, "metadata": dict(metadata)}


def kernel_adjustment(
    *,
    adjustment_id: str,
    tenant_id: str,
    kind: str,
    amount_cents: int,
    shortfall_cents: int,
    currency: str,
    source_ref: Mapping[str, str | None],
    verdict_ref: Mapping[str, str] | None,
    created_at: str,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a KernelAdjustment.v1, hashed as `adjustmentHash` (9.3, 13).

    `amount_cents` is what moved, `shortfall_cents` what could not. `source_ref` is {kind, id, hash} of what
    is corrected; `verdict_ref` is null for all but verdicts. metadata is left out where there is none, and
    is not hashed.
    """
    adjustment: dict[str, Any] = {
        "schemaVersion": KERNEL_ADJUSTMENT_SCHEMA,
        "adjustmentId": adjustment_id,
        "tenantId": tenant_id,
        "kind": kind,
        "amountCents": amount_cents,
        "shortfallCents": shortfall_cents,
        "currency": currency,
        "sourceRef": {key: source_ref.get(key) for key in ("kind", "id", "hash")},
        "verdictRef": None if verdict_ref is None else dict(verdict_ref),
        "createdAt": created_at,
    }
    adjustment["adjustmentHash"] = canonical_hash(adjustment)
    return adjustment if metadata is None else {**adjustment, "metadata": dict(metadata)}


def dispute_verdict_core(
    *,
    verdict_id: str,
    tenant_id: str,
    run_id: str,
    settlement_id: str,
    dispute_id: str,
    arbiter_agent_id: str,
    outcome: str,
    release_rate_pct: int | None,
    rationale: str | None,
    issued_at: str,
) -> dict[str, Any]:
    """Make the hashed core of a DisputeVerdict.v1; verdictHash = `canonical_hash` of it."""
    return {
        "schemaVersion": DISPUTE_VERDICT_SCHEMA,
        "verdictId": verdict_id,
        "tenantId": tenant_id,
        "runId": run_id,
        "settlementId": settlement_id,
        "disputeId": dispute_id,
        "arbiterAgentId": arbiter_agent_id,
        "outcome": outcome,
        "releaseRatePct": release_rate_pct,
        "rationale": rationale,
        "issuedAt": issued_at,
    }


def arbitration_verdict_core(
    *,
    verdict_id: str,
    case_id: str,
    tenant_id: str,
    run_id: str,
    settlement_id: str,
    dispute_id: str,
    arbiter_agent_id: str,
    outcome: str,
    release_rate_pct: int,
    rationale: str,
    evidence_refs: Sequence[str],
    issued_at: str,
    appeal_ref: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Make the hashed core of an ArbitrationVerdict.v1; evidenceRefs and issuedAt stay as given."""
    return {
        "schemaVersion": ARBITRATION_VERDICT_SCHEMA,
        "verdictId": verdict_id,
        "caseId": case_id,
        "tenantId": tenant_id,
        "runId": run_id,
        "settlementId": settlement_id,
        "disputeId": dispute_id,
        "arbiterAgentId": arbiter_agent_id,
        "outcome": outcome,
        "releaseRatePct": release_rate_pct,
        "rationale": rationale,
        "evidenceRefs": list(evidence_refs),
        "issuedAt": issued_at,
        "appealRef": None if appeal_ref is None else dict(appeal_ref),
    }
