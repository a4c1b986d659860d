"""The hashed cores of verdicts (kernel spec 8, 9.2)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

DISPUTE_VERDICT_SCHEMA: Final = "DisputeVerdict.v1"
ARBITRATION_VERDICT_SCHEMA: Final = "ArbitrationVerdict.v1"


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
