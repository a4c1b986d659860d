"""GET /ops/finance/billing/catalog and the arithmetic of overrides (settld-billing-and-finance 1.1, 1.3)."""

import pytest

from billing.plans import catalog
from billing.plans.catalog import BadOverrides
from tests.support.api import body

GROWTH = {
    "planId": "growth",
    "displayName": "Growth",
    "subscriptionCents": 59900,
    "includedVerifiedRunsPerMonth": 100000,
    "verifiedRunOverageCents": 0.7,
    "verifiedRunOverageMilliCents": 700,
    "settledVolumeFeeBps": 45,
    "arbitrationCaseFeeCents": 100,
    "hardLimitVerifiedRunsPerMonth": 0,
}


@pytest.mark.django_db
def test_the_catalog_lists_the_four_plans(api):
    answer = api.get("/ops/finance/billing/catalog")

    assert answer.status_code == 200
    assert body(answer)["schemaVersion"] == "BillingPlanCatalog.v1"
    assert list(body(answer)["plans"]) == ["free", "builder", "growth", "enterprise"]
    assert body(answer)["plans"]["growth"] == GROWTH


@pytest.mark.django_db
def test_rates_are_written_without_a_trailing_zero(api):
    answer = api.get("/ops/finance/billing/catalog")

    assert b'"verifiedRunOverageCents":0.7,' in answer.content
    assert b'"verifiedRunOverageCents":1,' in answer.content


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (None, None),
        ({}, {}),
        ({"unknown": 1}, {}),
        ({"subscriptionCents": 5}, {"subscriptionCents": 5}),
        ({"verifiedRunOverageCents": 0.7}, {"verifiedRunOverageMilliCents": 700}),
        ({"verifiedRunOverageCents": 1.005}, {"verifiedRunOverageMilliCents": 1005}),
        ({"verifiedRunOverageMilliCents": 3}, {"verifiedRunOverageMilliCents": 3}),
        (
            {"verifiedRunOverageCents": 2, "verifiedRunOverageMilliCents": 2000},
            {"verifiedRunOverageMilliCents": 2000},
        ),
        ({"settledVolumeFeeBps": 10000}, {"settledVolumeFeeBps": 10000}),
    ],
)
def test_overrides_become_whole_numbers(given, stored):
    assert catalog.read_overrides(given) == stored


@pytest.mark.parametrize(
    "given",
    [
        [],
        "x",
        {"subscriptionCents": None},
        {"subscriptionCents": True},
        {"subscriptionCents": -1},
        {"subscriptionCents": 1.5},
        {"subscriptionCents": 2**53},
        {"verifiedRunOverageCents": None},
        {"verifiedRunOverageCents": True},
        {"verifiedRunOverageCents": -0.1},
        {"verifiedRunOverageCents": 0.0001},
        {"verifiedRunOverageCents": "0.7"},
        {"verifiedRunOverageCents": 1e308},
        {"settledVolumeFeeBps": 10001},
        {"verifiedRunOverageCents": 0.7, "verifiedRunOverageMilliCents": 701},
    ],
)
def test_what_is_no_override_is_refused(given):
    with pytest.raises(BadOverrides):
        catalog.read_overrides(given)


def test_an_override_of_the_shown_rate_changes_the_charged_one():
    overrides = catalog.read_overrides({"verifiedRunOverageCents": 0.3})

    plan = catalog.resolve("growth", overrides)

    assert plan.verified_run_overage_millicents == 300
    assert plan.as_json() == GROWTH | {"verifiedRunOverageCents": 0.3, "verifiedRunOverageMilliCents": 300}
