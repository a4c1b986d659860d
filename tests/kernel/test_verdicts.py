"""Signed verdicts (kernel spec 8, 9.2)."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from settld.core import clock, signatures
from settld.core.hashing import canonical_hash
from settld.kernel import documents, verdicts
from settld.kernel.verdicts import InvalidArbitrationVerdict, InvalidDisputeVerdict, Subject

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
PEM, OTHER_PEM = (signatures.public_pem(key.public_key()) for key in (KEY, OTHER))
SUBJECT = Subject(tenant_id="tenant_default", run_id="run_1", settlement_id="setl_run_1", dispute_id="dsp_1")
CONTEXT = {
    "tenant_id": "tenant_default", "run_id": "run_1", "settlement_id": "setl_run_1", "dispute_id": "dsp_1",
    "arbiter_agent_id": "agt_arbiter", "outcome": "partial", "issued_at": "2026-02-10T00:00:00.000Z",
}  # fmt: skip
DISPUTE = documents.dispute_verdict_core(verdict_id="vrd_1", release_rate_pct=None, rationale=None, **CONTEXT)
ARBITRATION = documents.arbitration_verdict_core(
    verdict_id="avd_1", case_id="arb_case_1", release_rate_pct=60, rationale="partial delivery",
    evidence_refs=["evidence://run_1/a.json"], appeal_ref=None, **CONTEXT,
)  # fmt: skip
CORES = {"dispute": DISPUTE, "arbitration": ARBITRATION}
REFUSALS = {"dispute": InvalidDisputeVerdict, "arbitration": InvalidArbitrationVerdict}


def signed(core, *, key=KEY, pem=PEM, **change):
    digest = canonical_hash(core)
    signature = base64.b64encode(key.sign(bytes.fromhex(digest))).decode()
    return {**core, "signerKeyId": signatures.key_id(pem), "signature": signature} | change


def read(kind, given, *, pem=PEM, **more):
    verb = verdicts.dispute_verdict_of if kind == "dispute" else verdicts.arbitration_verdict_of
    verdict = verb(given, subject=SUBJECT, **more)
    verdicts.require_signature(verdict, public_key_pem=pem)
    return verdict


@pytest.mark.parametrize("kind", CORES)
def test_a_signed_verdict_is_read_and_served_with_its_envelope(kind):
    given = signed(CORES[kind])

    verdict = read(kind, given)

    digest = canonical_hash(CORES[kind])
    assert verdict.core == CORES[kind]
    assert (verdict.verdict_hash, verdict.arbiter_agent_id) == (digest, "agt_arbiter")
    assert clock.iso(verdict.issued_at) == CONTEXT["issued_at"]
    assert verdict.as_json() == {
        **given,
        "verdictHash": digest,
        "signatureEnvelope": {
            "algorithm": "ed25519", "signerKeyId": given["signerKeyId"], "verdictHash": digest,
            "signature": given["signature"],
        },
    }  # fmt: skip


@pytest.mark.parametrize("kind", CORES)
def test_ids_that_are_left_out_come_from_the_dispute(kind):
    given = signed(CORES[kind])
    for key in ("schemaVersion", "tenantId", "runId", "settlementId", "disputeId"):
        del given[key]

    assert read(kind, given).core == CORES[kind]


@pytest.mark.parametrize("kind", CORES)
@pytest.mark.parametrize(
    "given",
    [
        None,
        "avd_1",
        [],
        {"verdictId": "a b"},
        {"verdictId": None},
        {"tenantId": "tenant_b"},
        {"runId": "run_2"},
        {"settlementId": "setl_run_2"},
        {"disputeId": "dsp_run_1"},
        {"schemaVersion": "ArbitrationVerdict.v2"},
        {"arbiterAgentId": "x"},
        {"outcome": "won"},
        {"outcome": ["partial"]},
        {"releaseRatePct": 101},
        {"releaseRatePct": True},
        {"releaseRatePct": 60.0},
        {"rationale": ""},
        {"rationale": "x" * 4001},
        {"rationale": "\ud800"},
        {"issuedAt": "2026-02-10"},
        {"issuedAt": 1},
        {"verdictHash": "0" * 64},
        {"signerKeyId": None},
        {"signature": 5},
    ],
)
def test_a_fault_is_refused_in_the_words_of_its_kind(kind, given):
    given = signed(CORES[kind], **given) if isinstance(given, dict) else given
    with pytest.raises(REFUSALS[kind], match=f"invalid {kind} verdict") as refused:
        read(kind, given)
    assert refused.value.status == 400


@pytest.mark.parametrize("kind", CORES)
@pytest.mark.parametrize(
    ("given", "pem"),
    [
        ({"key": OTHER}, PEM),
        ({"key": OTHER, "pem": OTHER_PEM}, PEM),
        ({"pem": OTHER_PEM}, PEM),
        ({}, OTHER_PEM),
        ({}, None),
        ({"signature": "not base64"}, PEM),
        ({"signature": "é"}, PEM),
    ],
)
def test_only_the_named_arbiters_own_key_may_have_signed(kind, given, pem):
    with pytest.raises(REFUSALS[kind]):
        read(kind, signed(CORES[kind], **given), pem=pem)


def test_a_changed_member_breaks_the_signature():
    with pytest.raises(InvalidArbitrationVerdict, match="invalid arbitration verdict"):
        read("arbitration", signed(ARBITRATION, releaseRatePct=61))


def test_an_arbitration_verdict_needs_rate_and_rationale_and_a_case():
    for gone in ("releaseRatePct", "rationale", "caseId"):
        with pytest.raises(InvalidArbitrationVerdict):
            read("arbitration", signed({**ARBITRATION, gone: None}))
    with pytest.raises(InvalidArbitrationVerdict):
        verdicts.arbitration_verdict_of(
            signed(ARBITRATION),
            subject=Subject(
                tenant_id="tenant_default", run_id="run_1", settlement_id="setl_run_1", dispute_id="dsp_1",
                case_id="arb_case_2",
            ),
        )  # fmt: skip


def test_a_withdrawn_dispute_may_be_a_verdict_but_not_of_an_arbitration():
    assert read("dispute", signed({**DISPUTE, "outcome": "withdrawn"})).core["outcome"] == "withdrawn"
    with pytest.raises(InvalidArbitrationVerdict):
        read("arbitration", signed({**ARBITRATION, "outcome": "withdrawn"}))


@pytest.mark.parametrize("refs", ["e", [1], [""], ["x" * 513], ["e"] * 1001])
def test_malformed_evidence_is_refused(refs):
    with pytest.raises(InvalidArbitrationVerdict):
        read("arbitration", signed({**ARBITRATION, "evidenceRefs": refs}))


def test_a_verdict_names_only_evidence_that_is_known():
    assert read("arbitration", signed(ARBITRATION), evidence_refs=["evidence://run_1/a.json", "b"])
    with pytest.raises(InvalidArbitrationVerdict):
        read("arbitration", signed(ARBITRATION), evidence_refs=["b"])


def test_an_appeal_names_its_case_and_the_verdict_before():
    appeal = {"appealCaseId": "arb_2", "parentVerdictId": "avd_0", "reason": "new evidence"}

    assert read("arbitration", signed({**ARBITRATION, "appealRef": appeal})).core["appealRef"] == appeal
    for wrong in ({}, {**appeal, "more": 1}, {**appeal, "reason": 1}, "arb_2"):
        with pytest.raises(InvalidArbitrationVerdict):
            read("arbitration", signed({**ARBITRATION, "appealRef": wrong}))
