"""The arithmetic of a month (settld-billing-and-finance 1.2), held against sums done another way."""

import math
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.plans import catalog, estimate
from billing.plans.catalog import Plan
from settld.metering.queries import Usage

small = st.integers(0, 10**6)
plans = st.builds(
    Plan, st.just("x"), st.just("X"), small, st.integers(0, 2000), st.integers(0, 5000),
    st.integers(0, 10_000), small, small,
)  # fmt: skip
usages = st.builds(
    Usage, verified_runs=st.integers(0, 10**7), settled_volume_cents=st.integers(0, 2**53 - 1),
    arbitration_cases=st.integers(0, 10**5),
)  # fmt: skip


@given(plans, usages)
def test_each_charge_is_rounded_once_on_its_total(plan, usage):
    priced = estimate.price(plan, usage)

    above = usage.verified_runs - plan.included_verified_runs_per_month
    rate = Decimal(plan.verified_run_overage_millicents) / 1000
    overage = int((max(above, 0) * rate).quantize(Decimal(1), rounding=ROUND_HALF_UP))
    fee = math.floor(Fraction(usage.settled_volume_cents) * Fraction(plan.settled_volume_fee_bps, 10_000))
    cases = sum([plan.arbitration_case_fee_cents] * min(usage.arbitration_cases, 1)) * usage.arbitration_cases
    assert (priced.overage_cents, priced.volume_fee_cents, priced.arbitration_fee_cents) == (
        overage, fee, cases,
    )  # fmt: skip
    assert priced.total_cents == plan.subscription_cents + overage + fee + cases


@pytest.mark.parametrize(
    ("runs", "millicents", "cents"),
    [(100_000, 700, 0), (100_001, 700, 1), (100_002, 700, 1), (100_005, 700, 4), (100_003, 500, 2),
     (100_001, 500, 1), (100_001, 499, 0), (100_500, 3, 2)],
)  # fmt: skip
def test_overage_is_half_up_on_the_total_and_never_to_even(runs, millicents, cents):
    plan = catalog.resolve("growth", {"verifiedRunOverageMilliCents": millicents})

    assert estimate.price(plan, Usage(verified_runs=runs)).overage_cents == cents


def test_the_estimate_has_its_members():
    usage = Usage(verified_runs=100_005, settled_volume_cents=22_299, arbitration_cases=3)

    assert estimate.price(catalog.CATALOG["growth"], usage).as_json() == {
        "subscriptionCents": 59_900, "includedVerifiedRunsPerMonth": 100_000, "verifiedRunOverageUnits": 5,
        "verifiedRunOverageCents": 4, "verifiedRunOverageMilliCents": 3500,
        "verifiedRunOverageCentsPerUnit": 0.7, "verifiedRunOverageMilliCentsPerUnit": 700,
        "settledVolumeFeeBps": 45, "settledVolumeFeeCents": 100, "arbitrationCaseFeeCents": 100,
        "arbitrationFeeCents": 300, "totalEstimatedCents": 60_304,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "is_enforced", "used", "left", "blocks"),
    [(0, True, 5, None, False), (5, True, 4, 1, False), (5, True, 5, 0, True), (5, True, 9, 0, True),
     (5, False, 9, 0, False)],
)  # fmt: skip
def test_enforcement_tells_what_is_left(limit, is_enforced, used, left, blocks):
    plan = catalog.resolve("growth", {"hardLimitVerifiedRunsPerMonth": limit})

    assert estimate.enforcement_json(plan, Usage(verified_runs=used), is_enforced=is_enforced) == {
        "hardLimitVerifiedRunsPerMonth": limit,
        "hardLimitEnforced": is_enforced,
        "hardLimitRemainingVerifiedRuns": left,
        "wouldBlockNextVerifiedRun": blocks,
    }
