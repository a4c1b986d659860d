"""The test vectors of kernel spec 16."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from settld.core.hashing import canonical_hash
from settld.core.signatures import key_id, public_pem
from settld.kernel.documents import arbitration_verdict_core
from settld.policies.normalization import default_method, default_policy, method_hash, policy_hash


def test_the_default_policy_and_method():
    assert policy_hash(default_policy()) == "006f47946e597e5662c734cd90aa75384abaddc83cb1309a66684818a140c0d8"
    assert method_hash(default_method()) == "20d2f1b1e148b5e337fe1f38258ded31682d8d3de9bea5c0078fa4d1e8ffc070"


def test_the_key_id_of_the_seed_of_32_ones():
    pem = public_pem(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32).public_key())

    assert pem.endswith("-----END PUBLIC KEY-----\n")
    assert key_id(pem) == "key_3d4c030534b1c1c6a5238bf5"


def test_the_hash_of_an_arbitration_verdict():
    core = arbitration_verdict_core(
        verdict_id="avd_1",
        case_id="arb_case_1",
        tenant_id="tenant_default",
        run_id="run_1",
        settlement_id="setl_run_1",
        dispute_id="dsp_1",
        arbiter_agent_id="agt_arbiter",
        outcome="partial",
        release_rate_pct=60,
        rationale="partial delivery",
        evidence_refs=["evidence://run_1/a.json"],
        issued_at="2026-02-10T00:00:00.000Z",
        appeal_ref=None,
    )

    assert canonical_hash(core) == "7e424a2dc983305735efe85c727e85608c7d27b786db9ace45e4e3546171ee38"
