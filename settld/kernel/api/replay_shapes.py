"""How replayed decisions look, as the published description shows them (kernel spec 6.6)."""

from typing import Final

from settld.api.openapi import BOOL, INSTANT, INT, OBJECT, TEXT, Schema, maybe, obj, one_of
from settld.kernel.api import shapes
from settld.kernel.states import DecisionStatus, SettlementStatus
from settld.policies.evaluation import VERIFICATION_STATUSES

BINDING_VERIFICATION: Final = obj({"present": BOOL, "valid": maybe(BOOL), "reason": shapes.OPTIONAL})
REPLAY: Final[dict[str, Schema]] = {
    "runId": TEXT,
    "agreementId": shapes.OPTIONAL,
    "policyVersion": INT,
    "policyHash": shapes.HASH,
    "verificationMethodHash": shapes.HASH,
    "policyRef": shapes.OPTIONAL_OBJECT,
    "verifierRef": OBJECT,
    "verifierExecution": OBJECT,
    "policyBinding": shapes.OPTIONAL_OBJECT,
    "policyBindingVerification": BINDING_VERIFICATION,
    "acceptanceSignatureVerification": BINDING_VERIFICATION,
    "runStatus": shapes.RUN_STATUS,
    "verificationStatus": one_of(*VERIFICATION_STATUSES),
    "replay": obj(
        {
            "computedAt": INSTANT,
            "policy": OBJECT,
            "verificationMethod": OBJECT,
            "decision": shapes.OPTIONAL_OBJECT,
            "expectedDecisionStatus": one_of(*DecisionStatus.values),
            "expectedSettlementStatus": one_of(*SettlementStatus.values),
        }
    ),
    "settlement": shapes.SETTLEMENT,
    "kernelVerification": shapes.KERNEL_VERIFICATION,
    "matchesStoredDecision": BOOL,
}
REPLAY_EVALUATION: Final[dict[str, Schema]] = {
    **REPLAY,
    "stored": obj(
        {
            "policyDecision": shapes.OPTIONAL_OBJECT,
            "decisionRecord": maybe(shapes.DECISION_RECORD),
            "settlementReceipt": maybe(shapes.SETTLEMENT_RECEIPT),
        }
    ),
    "comparisons": obj(
        dict.fromkeys(
            (
                "matchesStoredDecision",
                "policyDecisionMatchesStored",
                "decisionRecordReplayCriticalMatchesStored",
                "verifierRefMatchesStored",
                "kernelBindingsValid",
            ),
            BOOL,
        )
    ),
}
