"""Ids, amounts and currencies (kernel spec 2.3, 2.4)."""

import pytest

from settld.core.errors import Invalid
from settld.kernel import identifiers


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (
            identifiers.agent_id_of,
            ["abc", "A:_-9", "x" * 128],
            ["ab", "x" * 129, "a b", "a.b.c", "abc\n", "äbc"],
        ),
        (
            identifiers.run_id_of,
            ["a", "x" * 128, "tc_1", "sadjacent"],
            ["x" * 129, "a/b", "a.b", 7, ["a"], "tc_" + "a" * 64, "sadj", f"sadj_agmt_{'a' * 64}"],
        ),
        (identifiers.policy_id_of, ["a", "a.b:c-d_e"], ["x" * 129, "a b"]),
    ],
)
def test_ids_have_a_form(read, good, bad):
    assert [read(value) for value in good] == good
    for value in bad:
        with pytest.raises(Invalid, match="invalid"):
            read(value)
    for nothing in (None, ""):
        with pytest.raises(Invalid, match="is required"):
            read(nothing)


@pytest.mark.parametrize("value", [0, -1, 2**53, True, "5", 1.0, None, [1]])
def test_an_amount_is_a_positive_safe_integer(value):
    with pytest.raises(Invalid, match=r"^amountCents must be a positive safe integer$"):
        identifiers.cents_of(value)


def test_the_bounds_of_an_amount_are_amounts():
    assert (identifiers.cents_of(1), identifiers.cents_of(2**53 - 1)) == (1, 2**53 - 1)


@pytest.mark.parametrize(
    ("value", "currency"),
    [(None, "USD"), ("", "USD"), (" eur ", "EUR"), ("usdc_2", "USDC_2"), ("ABC", "ABC")],
)
def test_a_currency_is_upper_cased(value, currency):
    assert identifiers.currency_of(value) == currency


@pytest.mark.parametrize("value", ["US", "1SD", "A" * 13, "US-D", 5, ["USD"], "ﬁat"])
def test_a_currency_has_a_form(value):
    with pytest.raises(Invalid, match="invalid currency"):
        identifiers.currency_of(value)


def test_derived_ids():
    assert identifiers.wallet_id("agt_1") == "wallet_agt_1"
    assert identifiers.settlement_id("run_1") == "setl_run_1"
    assert [identifiers.dispute_id("run_1", number=n) for n in (1, 2)] == ["dsp_run_1", "dsp_run_1_2"]
    assert identifiers.holdback_adjustment_id("a" * 64) == f"sadj_agmt_{'a' * 64}_holdback"
    assert identifiers.verdict_adjustment_id(run_id="run_1", verdict_id="avd_1") == "sadj_run_run_1_avd_1"
