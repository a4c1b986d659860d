"""Normal forms of policies and verification methods (kernel spec 6.2, 16.1)."""

import copy

import pytest

from settld.core.hashing import canonical_hash
from settld.policies.normalization import (
    DEFAULT_METHOD_HASH,
    DEFAULT_POLICY_HASH,
    InvalidPolicy,
    InvalidVerificationMethod,
    default_method,
    default_policy,
    method_of,
    policy_of,
)


def with_rules(**rules):
    return {"rules": rules}


def test_the_defaults_have_the_hashes_of_the_spec():
    assert DEFAULT_POLICY_HASH == "006f47946e597e5662c734cd90aa75384abaddc83cb1309a66684818a140c0d8"
    assert DEFAULT_METHOD_HASH == "20d2f1b1e148b5e337fe1f38258ded31682d8d3de9bea5c0078fa4d1e8ffc070"


@pytest.mark.parametrize(
    "given",
    [
        None,
        {},
        {"rules": None},
        {"rules": {}, "mode": "", "policyVersion": None},
        {"rules": {"manualReason": "", "maxAutoReleaseAmountCents": "", "autoReleaseOnGreen": None}},
        {"unknown": 1, "rules": {"unknown": {"nested": []}}},
        {"schemaVersion": "SettlementPolicy.v1"},
        {"policyHash": DEFAULT_POLICY_HASH},
    ],
)
def test_a_policy_that_says_nothing_of_its_own_is_the_default(given):
    assert policy_of(given) == default_policy()


def test_normalizing_again_changes_nothing_and_leaves_the_given_document_alone():
    given = with_rules(maxAutoReleaseAmountCents=2**53 - 1, disputeWindowHours=8760, manualReason=" x ")
    before = copy.deepcopy(given)
    once = policy_of(given)

    assert given == before
    assert policy_of(once) == once
    assert once["rules"]["manualReason"] == " x "
    assert list(once) == ["schemaVersion", "policyVersion", "mode", "rules"]


@pytest.mark.parametrize(
    "given",
    [
        [],
        "automatic",
        1,
        {"rules": []},
        {"schemaVersion": "SettlementPolicy.v2"},
        {"policyVersion": 0},
        {"policyVersion": 1.0},
        {"policyVersion": True},
        {"policyVersion": "1"},
        {"policyVersion": 2**53},
        {"mode": "manual"},
        {"mode": ["automatic"]},
        with_rules(autoReleaseOnGreen="true"),
        with_rules(requireDeterministicVerification=1),
        with_rules(greenReleaseRatePct=101),
        with_rules(amberReleaseRatePct=-1),
        with_rules(redReleaseRatePct=49.5),
        with_rules(redReleaseRatePct=False),
        with_rules(maxAutoReleaseAmountCents=0),
        with_rules(maxAutoReleaseAmountCents=2**53),
        with_rules(disputeWindowHours=0),
        with_rules(disputeWindowHours=8761),
        with_rules(manualReason=7),
        with_rules(manualReason="x" * 4001),
        with_rules(manualReason="\x00"),
        with_rules(manualReason="\ud800"),
        {"policyHash": "0" * 64},
    ],
)
def test_a_policy_out_of_bounds_is_refused_with_the_words_of_the_spec(given):
    with pytest.raises(InvalidPolicy) as refused:
        policy_of(given)
    assert (refused.value.status, refused.value.message) == (400, "invalid policy")


@pytest.mark.parametrize(
    "given",
    [
        "deterministic",
        {"mode": "guess"},
        {"mode": None, "source": 1},
        {"attestor": {}},
        {"notes": "x" * 4001},
        {"source": "x" * 513},
        {"schemaVersion": "VerificationMethod.v2"},
        {"verificationMethodHash": "0" * 64},
    ],
)
def test_a_verification_method_out_of_bounds_is_refused(given):
    with pytest.raises(InvalidVerificationMethod, match="invalid verificationMethod"):
        method_of(given)


def test_the_empty_text_of_a_method_is_null():
    assert method_of({"source": "", "attestor": "", "notes": "", "mode": ""}) == default_method()


def test_a_hash_beside_the_document_must_be_the_one_of_its_normal_form():
    given = with_rules(amberReleaseRatePct=25)
    right = canonical_hash(policy_of(given))

    assert policy_of(given, given_hash=right) == policy_of(given, given_hash="") == policy_of(given)
    for wrong in (DEFAULT_POLICY_HASH, right.upper(), 1, [right]):
        with pytest.raises(InvalidPolicy):
            policy_of(given, given_hash=wrong)
    with pytest.raises(InvalidVerificationMethod):
        method_of({"mode": "attested"}, given_hash=DEFAULT_METHOD_HASH)
