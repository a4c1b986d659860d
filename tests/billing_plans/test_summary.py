"""GET /ops/finance/billing/summary (settld-billing-and-finance 2.3)."""

import pytest

from settld.core import clock
from tests.billing_plans import usage_world
from tests.billing_plans.usage_world import NOW
from tests.support.api import body, refusal

PATH = "/ops/finance/billing/summary"
PLAN = "/ops/finance/billing/plan"
pytestmark = pytest.mark.django_db


def test_a_month_without_use_costs_the_subscription(api):
    with clock.freeze(NOW):
        answer = body(api.get(PATH))

    assert answer["period"] == "2026-03"
    assert answer["plan"]["planId"] == "free"
    assert answer["usage"] == {
        "eventCount": 0,
        "eventTypeCounts": {"verified_run": 0, "settled_volume": 0, "arbitration_usage": 0},
        "verifiedRuns": 0, "settledVolumeCents": 0, "arbitrationCases": 0,
    }  # fmt: skip
    assert answer["estimate"]["totalEstimatedCents"] == 0
    assert answer["enforcement"] == {
        "hardLimitVerifiedRunsPerMonth": 1000, "hardLimitEnforced": True,
        "hardLimitRemainingVerifiedRuns": 1000, "wouldBlockNextVerifiedRun": False,
    }  # fmt: skip


def test_use_is_added_up_and_priced_under_the_plan_in_force(api):
    api.put(
        PLAN,
        {"plan": "growth", "planOverrides": {"includedVerifiedRunsPerMonth": 1,
                                             "hardLimitVerifiedRunsPerMonth": 3}},
    )  # fmt: skip
    usage_world.runs(3)
    usage_world.volume("setl_1", 10_000)
    usage_world.volume("setl_2", 12_299)
    usage_world.case("case_1")

    answer = body(api.get(f"{PATH}?period=2026-03"))

    assert answer["usage"] == {
        "eventCount": 6,
        "eventTypeCounts": {"verified_run": 3, "settled_volume": 2, "arbitration_usage": 1},
        "verifiedRuns": 3, "settledVolumeCents": 22_299, "arbitrationCases": 1,
    }  # fmt: skip
    assert answer["estimate"]["verifiedRunOverageMilliCents"] == 1400
    assert answer["estimate"]["totalEstimatedCents"] == 59_900 + 1 + 100 + 100
    assert answer["plan"] == body(api.get(PLAN))["resolvedPlan"]
    assert answer["enforcement"]["hardLimitRemainingVerifiedRuns"] == 0
    assert answer["enforcement"]["wouldBlockNextVerifiedRun"] is True


def test_yen_are_not_added_to_dollars(api):
    """The peer adds yen to dollars (2.3)."""
    api.put(PLAN, {"plan": "builder"})
    usage_world.volume("setl_1", 10_000)
    usage_world.volume("setl_2", 5_000_000, "JPY")
    usage_world.volume("setl_3", 0, "EUR")

    answer = body(api.get(f"{PATH}?period=2026-03"))

    assert answer["usage"]["settledVolumeCents"] == 10_000
    assert answer["usage"]["unbilledVolumeByCurrency"] == {"JPY": 5_000_000}
    assert answer["usage"]["eventTypeCounts"]["settled_volume"] == 3
    assert answer["estimate"]["settledVolumeFeeCents"] == 75


def test_an_override_in_cents_alone_changes_the_charge(api):
    """In the peer it changes the shown rate, not the charge (1.3)."""
    overrides = {"verifiedRunOverageCents": 250, "includedVerifiedRunsPerMonth": 0}
    api.put(PLAN, {"plan": "growth", "planOverrides": overrides})
    usage_world.runs(2)

    estimate = body(api.get(f"{PATH}?period=2026-03"))["estimate"]

    assert estimate["verifiedRunOverageCentsPerUnit"] == 250
    assert estimate["verifiedRunOverageCents"] == 500


@pytest.mark.parametrize("period", ["2026-13", "2026-00", "2026-3", "x"])
def test_a_month_that_is_none_is_refused(api, period):
    """The peer takes month 13, then fails with 500 (0.5)."""
    answer = api.get(f"{PATH}?period={period}")

    assert refusal(answer) == (400, "SCHEMA_INVALID")
    assert body(answer)["error"] == "invalid period"


def test_months_and_tenants_stand_apart(api):
    usage_world.runs(1)

    assert body(api.get(f"{PATH}?period=2026-04"))["usage"]["verifiedRuns"] == 0
    assert body(api.as_tenant("tenant_b").get(f"{PATH}?period=2026-03"))["usage"]["verifiedRuns"] == 0


def test_reading_wants_its_scope(api, settings):
    settings.OPS_TOKENS |= {"ops": frozenset({"ops_read"})}

    assert refusal(api.with_token("ops").get(PATH)) == (403, "FORBIDDEN")
