"""What a policy decides (kernel spec 6.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settld.policies.evaluation import EvaluationFailed, evaluate, released_cents, verifier_ref
from settld.policies.normalization import default_method, default_policy, method_of, policy_of

GREEN, AMBER, RED = "green", "amber", "red"


def judged(status=GREEN, *, mode="automatic", method="deterministic", amount=1001, run="completed", **rules):
    return evaluate(
        policy=policy_of({"mode": mode, "rules": rules}),
        method=method_of({"mode": method}),
        verification_status=status,
        run_status=run,
        amount_cents=amount,
    )


@pytest.mark.parametrize(
    ("decision", "reasons", "rate", "released", "ends"),
    [
        (judged(), (), 100, 1001, "released"),
        (judged(AMBER), ("auto_release_disabled_for_amber",), 50, 500, "released"),
        (judged(AMBER, autoReleaseOnAmber=True), (), 50, 500, "released"),
        (judged(AMBER, autoReleaseOnAmber=True, amount=1), (), 50, 0, "refunded"),
        (judged(RED), ("auto_release_disabled_for_red",), 0, 0, "refunded"),
        (judged(RED, autoReleaseOnRed=True, redReleaseRatePct=33), (), 33, 330, "released"),
        (judged(autoReleaseOnGreen=False), ("auto_release_disabled_for_green",), 100, 1001, "released"),
        (judged(greenReleaseRatePct=0), (), 0, 0, "refunded"),
        (judged(amount=1001, maxAutoReleaseAmountCents=1001), (), 100, 1001, "released"),
        (
            judged(amount=1001, maxAutoReleaseAmountCents=1000),
            ("amount_exceeds_auto_release_limit",), 100, 1001, "released",
        ),
        (judged(method="attested"), (), 100, 1001, "released"),
        (
            judged(method="attested", requireDeterministicVerification=True),
            ("verification_method_not_deterministic",), 100, 1001, "released",
        ),
        (judged(mode="manual-review"), ("policy_mode_manual_review",), 100, 1001, "released"),
        (judged(RED, run="failed"), ("auto_release_disabled_for_red",), 0, 0, "refunded"),
        (
            judged(RED, run="failed", autoReleaseOnRed=True, redReleaseRatePct=90), (), 0, 0, "refunded",
        ),
        (
            judged(
                RED, mode="manual-review", method="discretionary", amount=2, run="failed",
                requireDeterministicVerification=True, maxAutoReleaseAmountCents=1,
            ),
            (
                "policy_mode_manual_review", "verification_method_not_deterministic",
                "amount_exceeds_auto_release_limit", "auto_release_disabled_for_red",
            ),
            0, 0, "refunded",
        ),
    ],
)  # fmt: skip
def test_each_case_of_the_table(decision, reasons, rate, released, ends):
    assert decision.reason_codes == reasons
    assert decision.should_auto_resolve == (not reasons)
    assert decision.decision_mode == ("manual-review" if reasons else "automatic")
    assert (decision.release_rate_pct, decision.release_amount_cents) == (rate, released)
    assert decision.settlement_status == ends


def test_the_answer_carries_its_members_in_the_order_of_the_spec():
    assert list(judged().as_json()) == [
        "policy", "verificationMethod", "decisionMode", "shouldAutoResolve", "reasonCodes", "releaseRatePct",
        "releaseAmountCents", "refundAmountCents", "settlementStatus", "verificationStatus", "runStatus",
    ]  # fmt: skip


@given(amount=st.integers(1, 2**53 - 1), rate=st.integers(0, 100))
def test_release_and_refund_are_the_whole_amount_and_release_is_rounded_down(amount, rate):
    decision = judged(amount=amount, greenReleaseRatePct=rate)

    assert decision.release_amount_cents + decision.refund_amount_cents == amount
    assert decision.release_amount_cents * 100 <= amount * rate < (decision.release_amount_cents + 1) * 100


@pytest.mark.parametrize(
    "change",
    [
        {"verification_status": "blue"},
        {"run_status": "running"},
        {"amount_cents": 0},
        {"amount_cents": True},
        {"policy": {}},
        {"policy": {"mode": "automatic", "rules": None}},
        {"method": {}, "policy": policy_of({"rules": {"requireDeterministicVerification": True}})},
    ],
)
def test_what_cannot_be_judged_is_an_evaluation_error_and_never_a_decision(change):
    sound = {
        "policy": default_policy(), "method": default_method(), "verification_status": GREEN,
        "run_status": "completed", "amount_cents": 1,
    }  # fmt: skip
    with pytest.raises(EvaluationFailed):
        evaluate(**{**sound, **change})


def test_a_share_beyond_the_whole_is_refused():
    with pytest.raises(EvaluationFailed):
        released_cents(amount_cents=1, rate_pct=101)


def test_the_verifier_is_our_engine_in_the_mode_of_the_method():
    assert verifier_ref(method_of({"mode": "attested"})) == {
        "verifierId": "settld.policy-engine", "verifierVersion": "v1", "verifierHash": None,
        "modality": "attested",
    }  # fmt: skip
