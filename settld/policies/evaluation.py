"""What a policy decides about the money of a finished run (kernel spec 6.2)."""

from dataclasses import dataclass
from typing import Any, Final

from settld.core import money
from settld.policies.normalization import Document

VERIFICATION_STATUSES: Final = ("green", "amber", "red")
RUN_STATUSES: Final = ("completed", "failed")
AUTOMATIC: Final = "automatic"
MANUAL_REVIEW: Final = "manual-review"
EVALUATION_FAILED: Final = "policy_evaluation_failed"
VERIFIER_ID: Final = "settld.policy-engine"
VERIFIER_VERSION: Final = "v1"


class EvaluationFailed(Exception):
    """The policy could not be applied; a settlement then waits for a person (6.3)."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A decision, with the documents it rests on.

    Rate and amounts say what an automatic resolution would pay, also where `reason_codes` ask for a
    person; `settlement_status` says how it would end. release + refund is always the amount.
    """

    policy: Document
    verification_method: Document
    reason_codes: tuple[str, ...]
    release_rate_pct: int
    release_amount_cents: int
    refund_amount_cents: int
    verification_status: str
    run_status: str

    @property
    def should_auto_resolve(self) -> bool:
        """Tell whether nothing asks for a person."""
        return not self.reason_codes

    @property
    def decision_mode(self) -> str:
        """Name how it is decided: `automatic` exactly when it resolves by itself."""
        return AUTOMATIC if self.should_auto_resolve else MANUAL_REVIEW

    @property
    def settlement_status(self) -> str:
        """Name how the settlement would end: refunded exactly when nothing is released."""
        return "released" if self.release_amount_cents > 0 else "refunded"

    def as_json(self) -> dict[str, Any]:
        """Shape it for the wire and for `policyDecision` of a decision trace."""
        return {
            "policy": self.policy,
            "verificationMethod": self.verification_method,
            "decisionMode": self.decision_mode,
            "shouldAutoResolve": self.should_auto_resolve,
            "reasonCodes": list(self.reason_codes),
            "releaseRatePct": self.release_rate_pct,
            "releaseAmountCents": self.release_amount_cents,
            "refundAmountCents": self.refund_amount_cents,
            "settlementStatus": self.settlement_status,
            "verificationStatus": self.verification_status,
            "runStatus": self.run_status,
        }


def evaluate(
    *,
    policy: Document,
    method: Document,
    verification_status: str,
    run_status: str,
    amount_cents: int,
) -> Evaluation:
    """Apply a policy to a finished run.

    Takes documents in their normal form (`normalization.policy_of`, `method_of`) and the status as the
    caller found it: that a failed run counts as red (6.3) is the caller's to say, here it only sets the
    rate to 0. Raises EvaluationFailed for any argument that makes no decision possible.
    """
    if verification_status not in VERIFICATION_STATUSES or run_status not in RUN_STATUSES:
        raise EvaluationFailed(f"cannot judge a {run_status} run that is {verification_status}")
    if not money.is_minor(amount_cents) or amount_cents < 1:
        raise EvaluationFailed("the amount is not a positive safe integer")
    try:
        rules = policy["rules"]
        rate = 0 if run_status == "failed" else int(rules[f"{verification_status}ReleaseRatePct"])
        reasons = _reasons(policy, method, verification_status=verification_status, amount_cents=amount_cents)
    except (KeyError, TypeError, ValueError) as error:
        raise EvaluationFailed("the policy is not in its normal form") from error
    released = released_cents(amount_cents=amount_cents, rate_pct=rate)
    return Evaluation(
        policy=policy,
        verification_method=method,
        reason_codes=reasons,
        release_rate_pct=rate,
        release_amount_cents=released,
        refund_amount_cents=amount_cents - released,
        verification_status=verification_status,
        run_status=run_status,
    )


def released_cents(*, amount_cents: int, rate_pct: int) -> int:
    """Take a share of an amount: whole cents, rounded down; the rest is refunded."""
    if not 0 <= rate_pct <= 100 or amount_cents < 0:
        raise EvaluationFailed("a rate is from 0 to 100, an amount not negative")
    return amount_cents * rate_pct // 100


def verifier_ref(method: Document) -> dict[str, Any]:
    """Name who verified: our policy engine, in the way that the verification method asks for."""
    return {
        "verifierId": VERIFIER_ID,
        "verifierVersion": VERIFIER_VERSION,
        "verifierHash": None,
        "modality": method["mode"],
    }


def verifier_execution(method: Document, *, verification: dict[str, Any]) -> dict[str, Any]:
    """Say what the verifier found: `verifierExecution` of a decision trace and of a replay.

    `verification` is the run's (kernel spec 5). There are no verifier plug-ins, so this is always our engine.
    """
    return {
        **verifier_ref(method),
        "verificationStatus": verification["verificationStatus"],
        "runStatus": verification["runStatus"],
        "reasonCodes": list(verification["reasonCodes"]),
    }


def _reasons(
    policy: Document, method: Document, *, verification_status: str, amount_cents: int
) -> tuple[str, ...]:
    """List what asks for a person, in the spec's order."""
    rules = policy["rules"]
    limit = rules["maxAutoReleaseAmountCents"]
    asks = {
        "policy_mode_manual_review": policy["mode"] == MANUAL_REVIEW,
        "verification_method_not_deterministic": rules["requireDeterministicVerification"]
        and method["mode"] != "deterministic",
        "amount_exceeds_auto_release_limit": limit is not None and amount_cents > limit,
        f"auto_release_disabled_for_{verification_status}": not rules[
            f"autoReleaseOn{verification_status.capitalize()}"
        ],
    }
    return tuple(reason for reason, applies in asks.items() if applies)
