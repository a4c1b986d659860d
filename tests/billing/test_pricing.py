"""Which price a plan is sold at: one, or none (INV-28, INV-30; T-088, T-089)."""

import datetime as dt

import pytest
from django.db import IntegrityError, transaction

from billing.models import Plan, PlanPrice
from billing.services import pricing
from settld.core import clock
from tests.billing import checkouts, factories
from tests.billing.checkout_provider import provider
from tests.billing.checkouts import guardrails

__all__ = ["guardrails", "provider"]
pytestmark = pytest.mark.django_db
NOW = factories.NOW


@pytest.fixture(autouse=True)
def _stopped():
    with clock.freeze(NOW):
        yield


@pytest.fixture
def plan() -> Plan:
    return factories.plan()


def _price(plan: Plan, price_id: str = "price_2", **more) -> PlanPrice:
    values = {"currency": "USD", "unit_amount_minor": 100} | more
    return PlanPrice.objects.create(plan=plan, provider_price_id=price_id, **values)


def test_t_088_the_database_refuses_a_second_sellable_price(plan):
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        _price(plan)
    assert refusal.value.__cause__.diag.constraint_name == "plan_price_one_sellable"


@pytest.mark.parametrize(
    "more",
    [
        {"is_active": False},
        {"usage_type": "metered"},
        {"billing_component": "seat"},
        {"billing_component": "add_on"},
    ],
)
def test_t_088_what_is_no_base_price_may_stand_beside_it(plan, more):
    _price(plan, **more)
    assert pricing.sellable_price(plan).provider_price_id == "price_pro"


def test_t_088_a_price_may_not_become_the_second_one(plan):
    other = _price(plan, is_active=False)
    with pytest.raises(IntegrityError), transaction.atomic():
        PlanPrice.objects.filter(pk=other.pk).update(is_active=True)


@pytest.mark.parametrize(
    "broken",
    [
        {"interval": "year"},
        {"interval_count": 3},
    ],
)
def test_t_089_the_database_refuses_to_sell_by_anything_but_the_month(plan, broken):
    PlanPrice.objects.update(is_active=False)
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        _price(plan, **broken)
    assert refusal.value.__cause__.diag.constraint_name == "plan_price_sellable_monthly"


def _none(plan: Plan) -> None:
    PlanPrice.objects.update(is_active=False)


def _another_currency(plan: Plan) -> None:
    _none(plan)
    _price(plan, currency="EUR")


def _only_a_seat(plan: Plan) -> None:
    _none(plan)
    _price(plan, billing_component="seat")


@pytest.mark.parametrize("arrange", [_none, _another_currency, _only_a_seat])
def test_t_089_a_plan_that_cannot_be_sold_fails_closed_with_an_alert(plan, provider, guardrails, arrange):
    arrange(plan)
    entity = factories.workspace_entity()
    with pytest.raises(pricing.PriceUnavailable):
        pricing.sellable_price(plan)
    assert checkouts.told(entity) == (409, "checkout_configuration_invalid")
    assert checkouts.told(entity) == (409, "checkout_configuration_invalid")
    assert guardrails == ["BILLING_CATALOG_INVALID"]
    assert (provider.creates, checkouts.sessions(entity)) == ([], [])


@pytest.mark.parametrize("interval", [("year", 1), ("month", 2)])
def test_t_089_an_interval_that_slipped_in_is_found_out(plan, monkeypatch, interval):
    """The database refuses such a price; the resolver does not rely on it."""
    price = PlanPrice(plan=plan, currency="USD", unit_amount_minor=1)
    price.interval, price.interval_count = interval

    class Rows:
        def filter(self, *_args, **_more):
            return self

        def order_by(self, *_names):
            return [price]

    monkeypatch.setattr(PlanPrice, "objects", Rows())
    with pytest.raises(pricing.PriceUnavailable):
        pricing.sellable_price(plan)


def test_t_089_two_prices_that_slipped_in_are_not_chosen_among(plan, monkeypatch):
    class Rows:
        def filter(self, *_args, **_more):
            return self

        def order_by(self, *_names):
            return [PlanPrice(), PlanPrice()]

    monkeypatch.setattr(PlanPrice, "objects", Rows())
    with pytest.raises(pricing.PriceUnavailable, match="more than one"):
        pricing.sellable_price(plan)


@pytest.mark.parametrize("arrange", ["inactive", "unknown"])
def test_t_089_a_plan_that_is_not_sold_is_not_found(plan, provider, arrange):
    entity = factories.workspace_entity()
    if arrange == "inactive":
        Plan.objects.update(is_active=False)
    what = checkouts.order(plan_code="pro" if arrange == "inactive" else "none-such")
    assert checkouts.told(entity, what=what) == (404, "checkout_plan_not_found")
    Plan.objects.update(is_active=True)
    assert checkouts.told(entity, what=what) == (404, "checkout_plan_not_found")


def test_a_new_price_is_what_the_next_checkout_asks_for(plan, provider):
    entity = factories.workspace_entity()
    checkouts.start(entity)
    with transaction.atomic():
        PlanPrice.objects.update(is_active=False)
        _price(plan, "price_new")
    with clock.freeze(NOW + dt.timedelta(days=2)):
        assert checkouts.told(entity, "key-2") == (200, "")
    assert [params["line_items"][0]["price"] for params, _key in provider.creates] == [
        "price_pro",
        "price_new",
    ]
