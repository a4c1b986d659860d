"""Deciding a settlement again, and comparing with what was stored (kernel spec 6.6).

How the open spots are read here:

- A direct run has no agreement: `agreementId`, `policyRef` and `policyBinding` are null, policy and method
  the defaults that its documents name, and the decision is what 6.3 gives it, automatic at the rate of its
  verification.
- A run that has not ended has nothing to decide: `decision` is null, and pending and locked are expected.
- A policy that cannot be applied has `decision` null, too, and expects what failing closed gives:
  manual_review_required, locked.
- An automatic decision of an ended run expects `auto_resolved`, except that a settlement still locked is
  expected to be `pending`, beside the status that the decision leads to, so such a one never matches.
- `policyDecisionMatchesStored` compares by canonical form; nothing stored and nothing decided are equal.
- Replay-critical in a decision record is what can be computed again: decisionStatus, decisionMode,
  verificationStatus, policyNormalizationVersion, policyHashUsed, verificationMethodHashUsed, policyRef and
  the run's part of workRef.
"""

from collections.abc import Mapping
from typing import Any, Final

from settld.core.hashing import canonical_hash
from settld.kernel.agreements import RunAgreement
from settld.kernel.states import RUN_ENDS, DecisionStatus, SettlementStatus
from settld.policies import evaluation, normalization
from settld.policies.evaluation import AUTOMATIC, MANUAL_REVIEW, Evaluation, EvaluationFailed

Wire = Mapping[str, Any]
_NOT_PRESENT: Final = {"present": False, "valid": None, "reason": None}
_WORK: Final = ("runStatus", "runLastEventId", "runLastChainHash")


def policy_replay(
    *,
    run: Wire,
    verification: Wire,
    agreement: RunAgreement | None,
    settlement: Wire,
    kernel_verification: Wire,
    computed_at: str,
) -> dict[str, Any]:
    """Decide again; gives the body of GET /runs/{runId}/settlement/policy-replay.

    By the pinned policy, or, without an agreement, as a direct run is decided.
    """
    decision = _decided(run, verification, agreement, settlement)
    is_direct = agreement is None
    agreement = agreement or _no_agreement()
    expected_decision, expected_settlement = _expected(run, settlement, decision)
    return {
        "runId": run["runId"],
        "agreementId": None if is_direct else agreement.agreement_id,
        "policyVersion": agreement.policy["policyVersion"],
        "policyHash": agreement.policy_hash,
        "verificationMethodHash": agreement.verification_method_hash,
        "policyRef": agreement.policy_ref,
        "verifierRef": evaluation.verifier_ref(agreement.verification_method),
        "verifierExecution": evaluation.verifier_execution(
            agreement.verification_method, verification=dict(verification)
        ),
        "policyBinding": agreement.policy_binding,
        "policyBindingVerification": agreement.policy_binding_verification,
        "acceptanceSignatureVerification": agreement.acceptance_signature_verification,
        "runStatus": run["status"],
        "verificationStatus": verification["verificationStatus"],
        "replay": {
            "computedAt": computed_at,
            "policy": agreement.policy,
            "verificationMethod": agreement.verification_method,
            "decision": decision,
            "expectedDecisionStatus": expected_decision,
            "expectedSettlementStatus": expected_settlement,
        },
        "settlement": settlement,
        "kernelVerification": kernel_verification,
        "matchesStoredDecision": settlement["decisionStatus"] == expected_decision
        and settlement["status"] == expected_settlement,
    }


def replay_evaluation(
    *,
    run: Wire,
    verification: Wire,
    agreement: RunAgreement,
    settlement: Wire,
    decision_record: Wire | None,
    settlement_receipt: Wire | None,
    kernel_verification: Wire,
    computed_at: str,
) -> dict[str, Any]:
    """Give the body of GET /runs/{runId}/settlement/replay-evaluate: the replay beside what was stored."""
    replayed = policy_replay(
        run=run,
        verification=verification,
        agreement=agreement,
        settlement=settlement,
        kernel_verification=kernel_verification,
        computed_at=computed_at,
    )
    stored_decision = (settlement["decisionTrace"] or {}).get("policyDecision")
    return {
        **replayed,
        "stored": {
            "policyDecision": stored_decision,
            "decisionRecord": decision_record,
            "settlementReceipt": settlement_receipt,
        },
        "comparisons": {
            "matchesStoredDecision": replayed["matchesStoredDecision"],
            "policyDecisionMatchesStored": canonical_hash(stored_decision)
            == canonical_hash(replayed["replay"]["decision"]),
            "decisionRecordReplayCriticalMatchesStored": decision_record is not None
            and _critical_of_record(decision_record) == _critical_of_replay(run, agreement, replayed),
            "verifierRefMatchesStored": decision_record is not None
            and decision_record.get("verifierRef") == replayed["verifierRef"],
            "kernelBindingsValid": kernel_verification["valid"],
        },
    }


def _no_agreement() -> RunAgreement:
    """Give what the documents of a direct run name as used: the defaults, which nobody has pinned."""
    return RunAgreement(
        agreement_id="",
        rfq_id="",
        policy=normalization.default_policy(),
        verification_method=normalization.default_method(),
        policy_hash=normalization.DEFAULT_POLICY_HASH,
        verification_method_hash=normalization.DEFAULT_METHOD_HASH,
        policy_ref=None,
        policy_binding=None,
        policy_binding_verification=dict(_NOT_PRESENT),
        acceptance_signature_verification=dict(_NOT_PRESENT),
        agreement={},
        offer=None,
        offer_acceptance=None,
    )


def _decided_directly(verification: Wire, settlement: Wire) -> dict[str, Any]:
    """Decide as a direct run is decided: by itself, at the rate that its own outcome asks for."""
    amount_cents, rate_pct = settlement["amountCents"], verification["settlementReleaseRatePct"]
    released_cents = evaluation.released_cents(amount_cents=amount_cents, rate_pct=rate_pct)
    return Evaluation(
        policy=normalization.default_policy(),
        verification_method=normalization.default_method(),
        reason_codes=(),
        release_rate_pct=rate_pct,
        release_amount_cents=released_cents,
        refund_amount_cents=amount_cents - released_cents,
        verification_status=verification["verificationStatus"],
        run_status=verification["runStatus"],
    ).as_json()


def _decided(
    run: Wire, verification: Wire, agreement: RunAgreement | None, settlement: Wire
) -> dict[str, Any] | None:
    """Evaluate, as 6.3 did at the terminal event; None where there is nothing to decide or it fails.

    The verification of a failed run is red already.
    """
    if run["status"] not in RUN_ENDS:
        return None
    if agreement is None:
        return _decided_directly(verification, settlement)
    try:
        return evaluation.evaluate(
            policy=agreement.policy,
            method=agreement.verification_method,
            verification_status=verification["verificationStatus"],
            run_status=run["status"],
            amount_cents=settlement["amountCents"],
        ).as_json()
    except EvaluationFailed:
        return None


def _expected(run: Wire, settlement: Wire, decision: Wire | None) -> tuple[str, str]:
    if run["status"] not in RUN_ENDS:
        return DecisionStatus.PENDING.value, SettlementStatus.LOCKED.value
    if decision is None or not decision["shouldAutoResolve"]:
        return DecisionStatus.MANUAL_REVIEW_REQUIRED.value, SettlementStatus.LOCKED.value
    is_locked = settlement["status"] == SettlementStatus.LOCKED
    status = DecisionStatus.PENDING if is_locked else DecisionStatus.AUTO_RESOLVED
    return status.value, decision["settlementStatus"]


def _critical_of_record(record: Wire) -> dict[str, Any]:
    work = record.get("workRef") or {}
    keys = (
        "decisionStatus decisionMode verificationStatus policyNormalizationVersion policyHashUsed"
        " verificationMethodHashUsed policyRef"
    )
    return {key: record.get(key) for key in keys.split()} | {key: work.get(key) for key in _WORK}


def _critical_of_replay(run: Wire, agreement: RunAgreement, replayed: Wire) -> dict[str, Any]:
    expected = replayed["replay"]["expectedDecisionStatus"]
    waits = expected == DecisionStatus.MANUAL_REVIEW_REQUIRED
    hashes = (agreement.policy_hash, agreement.verification_method_hash)
    return {
        "decisionStatus": expected,
        "decisionMode": MANUAL_REVIEW if waits else AUTOMATIC,
        "verificationStatus": replayed["verificationStatus"],
        "policyNormalizationVersion": normalization.NORMALIZATION_VERSION,
        "policyHashUsed": hashes[0],
        "verificationMethodHashUsed": hashes[1],
        "policyRef": {"policyHash": hashes[0], "verificationMethodHash": hashes[1]},
        "runStatus": run["status"],
        "runLastEventId": run["lastEventId"],
        "runLastChainHash": run["lastChainHash"],
    }
