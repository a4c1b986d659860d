"""Hashed documents: exactly their members, and hashes that never change (kernel spec 2.5, 4, 6.4, 7, 9.3).

The golden hashes were computed once from these inputs; a change of one breaks every stored document.
"""

import pytest

from settld.core.hashing import canonical_hash
from settld.kernel import documents
from settld.policies.normalization import DEFAULT_METHOD_HASH, DEFAULT_POLICY_HASH, method_of, policy_of
from tests.kernel.made import AMOUNT, COMPLETED, PAYEE, PAYER, TENANT, at, decision, folded, receipt

H1, H2, H3 = "1" * 64, "2" * 64, "3" * 64
RUN_DONE = {**folded(COMPLETED), "lastChainHash": H1}


def funding(**change):
    return documents.funding_receipt(
        **{
            "receipt_id": "rcpt_fund_1", "tenant_id": TENANT, "wallet_id": "wallet_agt_payer",
            "agent_id": PAYER, "amount_cents": 5, "currency": "USD", "source_type": "manual",
            "external_ref": None, "journal_entry_id": "fund_rcpt_fund_1", "created_at": at(),
        } | change,
    )  # fmt: skip


def hold(**change):
    return documents.funding_hold(
        **{
            "tenant_id": TENANT, "agreement_hash": H1, "receipt_hash": H2, "payer_agent_id": PAYER,
            "payee_agent_id": PAYEE, "amount_cents": 999, "currency": "USD", "holdback_bps": 3333,
            "challenge_window_ms": 60_000, "created_at": at(),
        } | change,
    )  # fmt: skip


def holdback(**more):
    return documents.settlement_adjustment(
        adjustment_id=f"sadj_agmt_{H1}_holdback", tenant_id=TENANT, agreement_hash=H1, receipt_hash=H2,
        hold_hash=H3, kind="holdback_release", amount_cents=332, currency="USD", created_at=at(), **more,
    )  # fmt: skip


def correction(**more):
    return documents.kernel_adjustment(
        **{
            "adjustment_id": "sadj_run_run_1_avd_1", "tenant_id": TENANT, "kind": "verdict_refund",
            "amount_cents": 4, "shortfall_cents": 1, "currency": "USD",
            "source_ref": {"kind": "settlement_receipt", "id": "rcpt_setl_1", "hash": H1},
            "verdict_ref": {"caseId": "arb_1", "verdictHash": H2}, "created_at": at(),
        } | more,
    )  # fmt: skip


DECISION = decision(RUN_DONE)
RECEIPT = receipt(RUN_DONE, DECISION)
MADE = {
    "decision": (DECISION, "decisionHash"),
    "receipt": (RECEIPT, "receiptHash"),
    "pending receipt": (receipt(RUN_DONE, DECISION, is_final=False), "receiptHash"),
    "funding": (funding(), "receiptHash"),
    "hold": (hold(), "holdHash"),
    "holdback": (holdback(), "adjustmentHash"),
    "judged holdback": (holdback(verdict_ref={"caseId": "arb_1", "verdictHash": H3}), "adjustmentHash"),
    "correction": (correction(), "adjustmentHash"),
    "correction without verdict": (correction(verdict_ref=None), "adjustmentHash"),
}


@pytest.mark.parametrize("name", MADE)
def test_whoever_holds_a_document_can_hash_it_again(name):
    document, key = MADE[name]

    assert list(document)[-1] == key
    assert document[key] == canonical_hash({k: v for k, v in document.items() if k != key})
    assert document[key] == documents.document_hash(document, but=(key,))


GOLDEN = {
    "decision": "100bfaba4b83b6373d4aaf7a046913046c7c8e772af80aa56db8f29cbaf44f74",
    "receipt": "8bb2ad12b834b5ecdb61c37f7ca3953757bf547d5087ab35f88375f876a46a96",
    "pending receipt": "149b0bd368b9aba2206094f2a2dc94d3aea208b246d6fd73a5b30ed8d352ce31",
    "funding": "59534d1b47a54507c9902fc9c5cc8c643d2dd97e514a7fd8c69e9b681c861125",
    "hold": "b7944c82eae073efd154428e6bb71006db28bb8701577d4b12b101681fbd43b6",
    "holdback": "8c2eb32f5c68b4fe66f8e0ed840c2004cd2cfd9b82b270fd814c93a8c05aecff",
    "judged holdback": "242999ec370e3a2e722b3a012f79a6c80008818a5d19a7dfa09c54f5806f0da9",
    "correction": "e178d146820ec697bdea3f147d295c5670cd4e89de05b0db9d0c0602c0c9d774",
    "correction without verdict": "48fc651c70b5a6a7386e9f84dd7b9bf344c8db2f8ca9dec8d30a5e54915bdd18",
}


@pytest.mark.parametrize("name", MADE)
def test_hashes_never_change(name):
    document, key = MADE[name]
    assert document[key] == GOLDEN[name]


def test_metadata_stands_beside_an_adjustment_and_not_in_its_hash():
    noted = holdback(metadata={"autoReleased": True})

    assert noted["metadata"] == {"autoReleased": True}
    assert noted["adjustmentHash"] == holdback()["adjustmentHash"]
    assert correction(metadata={"a": 1})["adjustmentHash"] == correction()["adjustmentHash"]


def test_an_adjustment_without_a_verdict_has_no_verdict_ref():
    assert "verdictRef" not in holdback()
    assert correction(verdict_ref=None)["verdictRef"] is None


def test_a_decision_without_a_policy_used_the_defaults_and_pinned_nothing():
    policy, method = policy_of({"mode": "manual-review"}), method_of({"mode": "attested"})
    pinned = decision(RUN_DONE, policy=policy, method=method)

    assert DECISION["policyHashUsed"] == DEFAULT_POLICY_HASH
    assert DECISION["verificationMethodHashUsed"] == DEFAULT_METHOD_HASH
    assert DECISION["policyRef"] == {"policyHash": None, "verificationMethodHash": None}
    assert pinned["policyRef"] == {
        "policyHash": canonical_hash(policy), "verificationMethodHash": canonical_hash(method),
    }  # fmt: skip
    assert pinned["policyHashUsed"] == canonical_hash(policy)
    assert pinned["verifierRef"]["modality"] == "attested"


def test_a_receipt_is_final_exactly_when_it_is_settled():
    assert (RECEIPT["finalityState"], RECEIPT["settledAt"]) == ("final", at(60))
    assert MADE["pending receipt"][0]["finalityState"] == "pending"
    sound = {
        "receipt_id": "r", "tenant_id": TENANT, "run_id": "run_1", "settlement_id": "s", "decision": DECISION,
        "status": "locked", "amount_cents": AMOUNT, "released_amount_cents": 0, "refunded_amount_cents": 0,
        "release_rate_pct": None, "currency": "USD", "run_status": "created", "resolution_event_id": None,
        "created_at": at(),
    }  # fmt: skip
    for is_final, settled_at in ((True, None), (False, at())):
        with pytest.raises(ValueError):
            documents.settlement_receipt(**sound, is_final=is_final, settled_at=settled_at)


@pytest.mark.parametrize(
    ("amount", "bps", "held"), [(999, 3333, 332), (1, 9999, 0), (7, 10_000, 7), (7, 0, 0)]
)
def test_the_held_share_is_rounded_down(amount, bps, held):
    assert hold(amount_cents=amount, holdback_bps=bps)["heldAmountCents"] == held
