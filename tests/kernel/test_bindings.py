"""Whether settlement, decision record and receipt belong together: every code of kernel spec 6.5."""

import pytest

from settld.kernel import bindings, documents
from settld.kernel.bindings import SettlementKernelBindingInvalid
from tests.kernel.made import COMPLETED, RUN, at, decision, folded, receipt, settlement

DONE = folded(COMPLETED)
DECISION = decision(DONE)
RECEIPT = receipt(DONE, DECISION)
SETTLEMENT = settlement(DONE)


def rehashed(document, key, **change):
    """Change a document as somebody would who can hash."""
    changed = {**document, **change}
    return {**changed, key: documents.document_hash(changed, but=(key,))}


def decided(**change):
    """Change the decision record, and a receipt that is bound to the changed one."""
    record = rehashed(DECISION, "decisionHash", **change)
    return {"decision_record": record, "settlement_receipt": receipt(DONE, record)}


def proved(**change):
    return {"settlement_receipt": rehashed(RECEIPT, "receiptHash", **change)}


def errors(**change):
    given = {"settlement": SETTLEMENT, "decision_record": DECISION, "settlement_receipt": RECEIPT} | change
    found = bindings.kernel_verification(run_id=RUN, **given)
    assert found["valid"] == (found["errors"] == [])
    return found["errors"]


REF = RECEIPT["decisionRef"]
CASES = [
    ("settlement_missing", {"settlement": None}),
    ("settlement_run_id_mismatch", {"settlement": {**SETTLEMENT, "runId": "run_2"}}),
    ("decision_record_missing", {"decision_record": None}),
    ("decision_record_hash_mismatch", {"decision_record": {**DECISION, "decisionReason": "other"}}),
    ("decision_record_run_id_mismatch", decided(runId="run_2")),
    ("decision_record_settlement_id_mismatch", decided(settlementId="setl_run_2")),
    ("decision_record_decided_at_invalid", decided(decidedAt="yesterday")),
    ("decision_record_decided_at_invalid", decided(decidedAt=None)),
    ("decision_record_policy_hash_used_missing", decided(policyHashUsed=None)),
    ("decision_record_policy_hash_used_invalid", decided(policyHashUsed="A" * 64)),
    ("decision_record_policy_normalization_version_invalid", decided(policyNormalizationVersion="v2")),
    ("decision_record_verification_method_hash_used_invalid", decided(verificationMethodHashUsed=None)),
    ("settlement_receipt_missing", {"settlement_receipt": None}),
    ("settlement_receipt_hash_invalid", {"settlement_receipt": {**RECEIPT, "receiptHash": "x"}}),
    ("settlement_receipt_hash_mismatch", {"settlement_receipt": {**RECEIPT, "amountCents": 1}}),
    ("settlement_receipt_hash_mismatch", {"settlement_receipt": {**RECEIPT, "amountCents": 2**60}}),
    ("settlement_receipt_run_id_mismatch", proved(runId="run_2")),
    ("settlement_receipt_settlement_id_mismatch", proved(settlementId="setl_run_2")),
    ("settlement_receipt_decision_ref_missing", proved(decisionRef=None)),
    ("settlement_receipt_decision_id_mismatch", proved(decisionRef={**REF, "decisionId": "dec_2"})),
    ("settlement_receipt_decision_hash_mismatch", proved(decisionRef={**REF, "decisionHash": "0" * 64})),
    ("settlement_receipt_created_at_invalid", proved(createdAt=7)),
    ("settlement_receipt_settled_at_invalid", proved(settledAt="2026-03-10")),
    ("settlement_receipt_before_decision", proved(createdAt=at(59))),
]


@pytest.mark.parametrize(("code", "change"), CASES)
def test_each_fault_alone_gives_its_code_alone(code, change):
    assert errors(**change) == [code]


def test_a_hash_that_is_none_is_invalid_and_binds_nothing():
    record = {**DECISION, "decisionHash": "A" * 64}

    assert errors(decision_record=record) == [
        "decision_record_hash_invalid",
        "settlement_receipt_decision_hash_mismatch",
    ]


def test_instants_are_compared_with_each_other():
    assert errors(**proved(settledAt=at(59))) == [
        "settlement_receipt_settled_before_decision",
        "settlement_receipt_settled_before_created",
    ]


def test_every_code_of_the_spec_has_been_provoked():
    together = {code for code, _ in CASES} | {
        "decision_record_hash_invalid",
        "settlement_receipt_settled_before_decision",
        "settlement_receipt_settled_before_created",
    }
    named = {
        f"{kind}_{fault}"
        for kind, faults in {
            "settlement": "missing run_id_mismatch",
            "decision_record": "missing hash_invalid hash_mismatch run_id_mismatch settlement_id_mismatch"
            " decided_at_invalid policy_hash_used_missing policy_hash_used_invalid"
            " policy_normalization_version_invalid verification_method_hash_used_invalid",
            "settlement_receipt": "missing hash_invalid hash_mismatch run_id_mismatch settlement_id_mismatch"
            " decision_ref_missing decision_id_mismatch decision_hash_mismatch created_at_invalid"
            " settled_at_invalid before_decision settled_before_decision settled_before_created",
        }.items()
        for fault in faults.split()
    }
    assert together == named


def test_all_findings_are_reported():
    assert errors(settlement=None, decision_record=None, settlement_receipt=None) == [
        "settlement_missing",
        "decision_record_missing",
        "settlement_receipt_missing",
    ]


@pytest.mark.parametrize(
    ("run", "pair"),
    [
        (DONE, {}),
        (DONE, {"settlement_receipt": receipt(DONE, DECISION, status="locked", is_final=False)}),
    ],
)
def test_a_bound_pair_is_valid_whether_final_or_pending(run, pair):
    assert errors(settlement=settlement(run), **pair) == []


def test_a_preflight_tolerates_what_is_missing_and_nothing_else():
    given = {"run_id": RUN, "settlement": SETTLEMENT, "settlement_receipt": None}

    bindings.require_valid(**given, decision_record=DECISION, allow_missing=True)
    with pytest.raises(SettlementKernelBindingInvalid):
        bindings.require_valid(**given, decision_record=DECISION)
    with pytest.raises(SettlementKernelBindingInvalid) as refused:
        bindings.require_valid(
            **given, decision_record={**DECISION, "decisionReason": "other"}, allow_missing=True
        )
    assert (refused.value.status, refused.value.code) == (409, "SETTLEMENT_KERNEL_BINDING_INVALID")
    assert refused.value.details == {
        "message": "invalid settlement kernel artifacts",
        "code": "SETTLEMENT_KERNEL_BINDING_INVALID",
        "errors": ["decision_record_hash_mismatch"],
    }
