"""Deciding again, and comparing with what was stored (kernel spec 6.6)."""

import pytest

from settld.kernel import replay
from settld.kernel.verification import verification_of
from settld.policies import evaluation, normalization
from tests.kernel.made import COMPLETED, FAILED, agreement, at, decision, folded, receipt, settlement

STARTED = ("RUN_STARTED", {})
HALF = ("RUN_COMPLETED", {"metrics": {"settlementReleaseRatePct": 50}})


def replayed(run, pinned, **stored):
    return replay.policy_replay(
        run=run, verification=verification_of(run), agreement=pinned, settlement=settlement(run, **stored),
        kernel_verification={"valid": True, "errors": []}, computed_at=at(99),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "policy", "stored", "expected", "matches"),
    [
        ([COMPLETED], None, ("released", "auto_resolved"), ("auto_resolved", "released"), True),
        ([COMPLETED], None, ("refunded", "manual_resolved"), ("auto_resolved", "released"), False),
        ([COMPLETED], None, ("locked", "pending"), ("pending", "released"), False),
        ([FAILED], None, ("locked", "manual_review_required"), ("manual_review_required", "locked"), True),
        ([FAILED], None, ("refunded", "manual_resolved"), ("manual_review_required", "locked"), False),
        (
            [FAILED], {"rules": {"autoReleaseOnRed": True}}, ("refunded", "auto_resolved"),
            ("auto_resolved", "refunded"), True,
        ),
        ([HALF], None, ("locked", "manual_review_required"), ("manual_review_required", "locked"), True),
        (
            [HALF], {"rules": {"autoReleaseOnAmber": True}}, ("released", "auto_resolved"),
            ("auto_resolved", "released"), True,
        ),
        (
            [COMPLETED], {"mode": "manual-review"}, ("released", "auto_resolved"),
            ("manual_review_required", "locked"), False,
        ),
        ([STARTED], None, ("locked", "pending"), ("pending", "locked"), True),
        ([STARTED], None, ("released", "manual_resolved"), ("pending", "locked"), False),
    ],
)  # fmt: skip
def test_a_replay_matches_what_the_policy_decides_and_nothing_else(steps, policy, stored, expected, matches):
    run = folded(*steps)

    found = replayed(run, agreement(policy=policy), status=stored[0], decision_status=stored[1])

    assert (
        found["replay"]["expectedDecisionStatus"],
        found["replay"]["expectedSettlementStatus"],
    ) == expected
    assert found["matchesStoredDecision"] is matches
    assert (found["replay"]["decision"] is None) == (run["status"] == "running")


def test_a_policy_that_cannot_be_applied_expects_a_person():
    pinned = agreement()
    pinned.policy["rules"] = {}

    found = replayed(folded(COMPLETED), pinned, status="locked", decision_status="manual_review_required")

    assert found["replay"]["decision"] is None
    assert found["matchesStoredDecision"]


def test_the_answer_carries_its_members_in_the_order_of_the_spec():
    assert list(replayed(folded(COMPLETED), agreement())) == [
        "runId", "agreementId", "policyVersion", "policyHash", "verificationMethodHash", "policyRef",
        "verifierRef", "verifierExecution", "policyBinding", "policyBindingVerification",
        "acceptanceSignatureVerification", "runStatus", "verificationStatus", "replay", "settlement",
        "kernelVerification", "matchesStoredDecision",
    ]  # fmt: skip


def compared(*, record=None, valid=True, policy_decision="same", **stored):
    """Compare a completed run under a pinned policy with a stored decision of it."""
    run = folded(COMPLETED)
    pinned = agreement(policy={"rules": {"greenReleaseRatePct": 90}}, method={"mode": "attested"})
    decided = evaluation.evaluate(
        policy=pinned.policy, method=pinned.verification_method, verification_status="green",
        run_status="completed", amount_cents=settlement(run)["amountCents"],
    ).as_json()  # fmt: skip
    record = decision(run, policy=pinned.policy, method=pinned.verification_method, **(record or {}))
    found = replay.replay_evaluation(
        run=run, verification=verification_of(run), agreement=pinned,
        settlement=settlement(run, policy_decision=decided if policy_decision == "same" else policy_decision,
                              **stored),
        decision_record=record, settlement_receipt=receipt(run, record),
        kernel_verification={"valid": valid, "errors": []}, computed_at=at(99),
    )  # fmt: skip
    assert found["stored"]["decisionRecord"] == record
    return {name for name, equal in found["comparisons"].items() if not equal}


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({}, set()),
        (
            {
                "decision_status": "manual_resolved",
                "record": {"status": "manual_resolved", "mode": "manual-review"},
            },
            {"matchesStoredDecision", "decisionRecordReplayCriticalMatchesStored"},
        ),
        ({"policy_decision": None}, {"policyDecisionMatchesStored"}),
        ({"record": {"verification": "amber"}}, {"decisionRecordReplayCriticalMatchesStored"}),
        ({"record": {"reason": "anything"}}, set()),
        ({"valid": False}, {"kernelBindingsValid"}),
    ],
)
def test_each_comparison_speaks_for_itself(change, differs):
    assert compared(**change) == differs


def test_a_verifier_of_another_modality_and_policy_is_told():
    run, pinned = folded(COMPLETED), agreement(method={"mode": "attested"})
    record = decision(run)

    found = replay.replay_evaluation(
        run=run, verification=verification_of(run), agreement=pinned, settlement=settlement(run),
        decision_record=record, settlement_receipt=None, kernel_verification={"valid": True, "errors": []},
        computed_at=at(99),
    )["comparisons"]  # fmt: skip

    assert not found["verifierRefMatchesStored"]
    assert not found["decisionRecordReplayCriticalMatchesStored"]


@pytest.mark.parametrize(
    ("steps", "rate", "released", "stored", "expected", "matches"),
    [
        ([COMPLETED], 100, 1001, ("released", "auto_resolved"), ("auto_resolved", "released"), True),
        ([HALF], 50, 500, ("released", "auto_resolved"), ("auto_resolved", "released"), True),
        ([FAILED], 0, 0, ("refunded", "auto_resolved"), ("auto_resolved", "refunded"), True),
        ([HALF], 50, 500, ("released", "manual_resolved"), ("auto_resolved", "released"), False),
        ([COMPLETED], 100, 1001, ("locked", "pending"), ("pending", "released"), False),
    ],
)
def test_a_direct_run_is_decided_by_itself_at_the_rate_of_its_verification(
    steps, rate, released, stored, expected, matches
):
    run = folded(*steps)

    found = replayed(run, None, status=stored[0], decision_status=stored[1])

    decided = found["replay"]["decision"]
    assert (decided["releaseRatePct"], decided["releaseAmountCents"]) == (rate, released)
    assert decided["refundAmountCents"] == 1001 - released
    assert (decided["shouldAutoResolve"], decided["reasonCodes"]) == (True, [])
    assert (
        found["replay"]["expectedDecisionStatus"],
        found["replay"]["expectedSettlementStatus"],
    ) == expected
    assert found["matchesStoredDecision"] is matches


def test_a_direct_run_names_the_defaults_and_no_agreement():
    found = replayed(folded(STARTED), None, status="locked", decision_status="pending")

    assert (found["agreementId"], found["policyRef"], found["policyBinding"]) == (None, None, None)
    assert found["policyVersion"] == 1
    assert found["policyHash"] == normalization.DEFAULT_POLICY_HASH
    assert found["verificationMethodHash"] == normalization.DEFAULT_METHOD_HASH
    assert found["verifierRef"]["modality"] == "deterministic"
    assert found["replay"]["decision"] is None
    assert found["matchesStoredDecision"] is True
    assert list(found) == list(replayed(folded(COMPLETED), agreement()))
