"""/console/billing/plans (section 14, 7.7; T-173): make, price, grant, sell no longer."""

import pytest

from billing.models import CatalogItem, Plan, PlanPrice
from billing.providers.errors import Category, ProviderProblem
from ops_console.billing_console import entitlement_lines
from ops_console.billing_console.entitlement_lines import LineFault
from tests.billing import factories
from tests.billing.conftest import billing_on
from tests.ops_console.billing_desk import (
    MONTHLY,
    act,
    admin,
    audited,
    entity,
    faults,
    form_of,
    provider,
    shown,
    text_of,
    told,
)

__all__ = ["admin", "billing_on", "entity", "provider"]
FORM = {
    "code": "Pro",
    "name": "Pro",
    "description": "",
    "chosen_price": "price_pro",
    "price_id": "",
    "entitlements": "sso = on\nlinks = 100 per month, soft\nregions = list: eu, us",
    "state": "active",
}


@pytest.fixture
def shelf(provider):
    """Three of the provider's prices: one to sell a plan at, another, and a one-time one."""
    provider.sells("price_pro", unit_amount=4_900, product_name="Pro", **MONTHLY)
    provider.sells("price_more", unit_amount=6_900, **MONTHLY)
    provider.sells("price_day", unit_amount=25_000, product_name="Onboarding")
    return provider


def test_t173_a_plan_is_made_at_one_of_stripes_prices_and_shown(shelf, admin):
    """T-173: the picker offers what can be sold; what is granted is shown as it was written."""
    picker = shown(admin, "/plans/new")
    text = told(admin, act(admin, "/plans/new", **FORM))
    page = shown(admin, "/plans")

    assert "Pro: 49.00 USD a month (price_pro)" in picker
    assert "price_day" not in picker
    assert "1 others cannot be used here" in picker
    assert text == "The plan pro is made."
    assert "Pro pro Sold 49.00 USD a month price_pro" in page
    assert "links = 100 per month, soft regions = list: eu, us sso = on" in page
    assert audited("BILLING_PLAN_CREATE")[0].target_id == "pro"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"code": "a b"}, "A code may hold a-z, 0-9, dot, colon, dash and underscore."),
        ({"code": ""}, "Code is needed."),
        ({"chosen_price": ""}, "A price is needed."),
        ({"price_id": "price_more"}, "Choose one of the list, or type an id; not both."),
        ({"chosen_price": "", "price_id": "price_none"}, "The provider has no such price."),
        ({"chosen_price": "", "price_id": "price_day"}, "The price must be recurring and licensed."),
        ({"chosen_price": "", "price_id": "prod_1"}, "The price id must begin with price_."),
        ({"entitlements": "sso = perhaps"}, "Line 1: “perhaps” is neither"),
        ({"state": "later"}, "Choose one of the list."),
    ],
)
def test_what_is_filled_in_wrongly_is_said_beside_its_field(shelf, admin, changes, fault):
    (found,) = faults(act(admin, "/plans/new", **(FORM | changes)))

    assert found.startswith(fault)
    assert not Plan.objects.exists()


def test_a_code_or_a_price_that_is_taken_is_refused(shelf, admin):
    told(admin, act(admin, "/plans/new", **FORM))

    same_code = act(admin, "/plans/new", **(FORM | {"chosen_price": "price_more"}))
    same_price = act(admin, "/plans/new", **(FORM | {"code": "other"}))

    assert "Billing plan code already exists." in text_of(same_code)
    assert "Provider price id is already mapped to another plan." in text_of(same_price)
    assert (same_code.status_code, same_price.status_code, Plan.objects.count()) == (409, 409, 1)


def test_a_form_sent_twice_makes_one_plan(shelf, admin):
    form = form_of(admin, "/plans/new")
    told(admin, act(admin, "/plans/new", form, **FORM))

    assert "sent before" in told(admin, act(admin, "/plans/new", form, **FORM))
    assert Plan.objects.count() == 1


def test_without_an_answer_of_stripe_an_id_can_be_typed_and_nothing_is_made(shelf, admin):
    shelf.is_down = True

    assert "Stripe could not be asked for its prices just now." in shown(admin, "/plans/new")
    answer = act(admin, "/plans/new", **(FORM | {"chosen_price": "", "price_id": "price_pro"}))
    assert (answer.status_code, "could not be asked" in text_of(answer)) == (409, True)
    assert not Plan.objects.exists()


def test_t173_a_new_price_is_sold_and_the_old_one_is_kept(shelf, admin):
    """T-173: the row shows what was sold before."""
    told(admin, act(admin, "/plans/new", **FORM))
    plan = Plan.objects.get()
    path = f"/plans/{plan.pk}/price"

    assert "Now 49.00 USD a month" in shown(admin, path)
    assert "price_more from now on" in told(admin, act(admin, path, chosen_price="price_more", price_id=""))
    sold = {row.provider_price_id: row.is_active for row in PlanPrice.objects.all()}
    assert sold == {"price_pro": False, "price_more": True}
    page = shown(admin, "/plans")
    assert "69.00 USD a month price_more 1 earlier 49.00 USD a month, since 2026-03-10" in page
    assert len(audited("BILLING_PLAN_PRICE")) == 1


def test_t173_a_plan_is_sold_no_longer_and_again(entity, admin):
    """T-173: who has it keeps it; the number of subscribers is shown."""
    plan = factories.plan()
    factories.subscription(entity, plan, factories.customer(entity))

    assert "Sold 49.00 USD a month price_pro Nothing 1" in shown(admin, "/plans")
    told(admin, act(admin, f"/plans/{plan.pk}/deactivate"))
    assert "Not sold" in shown(admin, "/plans")
    assert not Plan.objects.get().is_active
    told(admin, act(admin, f"/plans/{plan.pk}/activate"))
    assert Plan.objects.get().is_active
    assert len(audited("BILLING_PLAN_DEACTIVATE")) == len(audited("BILLING_PLAN_ACTIVATE")) == 1


def test_a_plan_that_cannot_be_bought_says_why(entity, admin):
    bare = Plan.objects.create(code="bare", plan_family_code="bare", name="Bare")
    PlanPrice.objects.create(
        plan=factories.plan("euro", price_id="price_eur"),
        provider_price_id="price_old",
        currency="USD",
        unit_amount_minor=1,
        is_active=False,
    )
    PlanPrice.objects.filter(provider_price_id="price_eur").delete()
    text = shown(admin, "/plans")

    assert text.count("Not sellable") == 2
    assert text.count("It has no price to be sold at.") == 2
    assert bare.code in text


def test_t173_a_one_time_price_is_offered_renamed_and_withdrawn(shelf, admin):
    """T-173: catalog items."""
    assert "Onboarding: 250.00 USD (price_day)" in shown(admin, "/items/new")
    told(admin, act(admin, "/items/new", chosen_price="price_day", price_id="", name=""))
    item = CatalogItem.objects.get()
    told(admin, act(admin, f"/items/{item.pk}/rename", name="First day"))
    told(admin, act(admin, f"/items/{item.pk}/deactivate"))
    twice = act(admin, "/items/new", chosen_price="price_day", price_id="", name="")

    item.refresh_from_db()
    assert (item.name, item.is_active, item.unit_amount_minor) == ("First day", False, 25_000)
    assert "Provider price id is already in the catalog." in text_of(twice)
    assert "First day Not offered 250.00 USD price_day" in shown(admin, "/plans")
    told(admin, act(admin, f"/items/{item.pk}/activate"))
    assert CatalogItem.objects.get().is_active
    assert len(audited("BILLING_CATALOG_ITEM_UPDATE")) == 3


def test_the_search_finds_plans_and_items(entity, admin):
    factories.plan("alpha", price_id="price_a")
    factories.plan("beta", price_id="price_b")
    text = shown(admin, "/plans?q=ALPH")

    assert "alpha" in text
    assert "beta" not in text
    assert "No plan matches" in shown(admin, "/plans?q=gamma")


def test_a_provider_problem_while_the_list_is_read_is_no_error_page(shelf, admin):
    shelf.problems["prices"] = [ProviderProblem("late", category=Category.TRANSIENT_NETWORK)]
    assert shown(admin, "/items/new")


# --- Entitlements as lines ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "schema", "value"),
    [
        ("sso = on", "entitlement.boolean.v1", {"enabled": True}),
        ("sso=off", "entitlement.boolean.v1", {"enabled": False}),
        ("a.b = 0 per day", "entitlement.quota.v1", {"limit": 0, "interval": "day", "enforcement": "hard"}),
        (
            "a = 7 per week,soft",
            "entitlement.quota.v1",
            {"limit": 7, "interval": "week", "enforcement": "soft"},
        ),
        ("a = list: x , y z", "entitlement.string_list.v1", {"values": ["x", "y z"]}),
    ],
)
def test_a_line_is_read_and_written_alike(line, schema, value):
    (wish,) = entitlement_lines.read(f"\n  {line}  \n")
    again = entitlement_lines.write(wish.code, wish.schema_version, wish.value_json)

    assert (wish.schema_version, wish.value_json) == (schema, value)
    assert entitlement_lines.read(again) == [wish]


@pytest.mark.parametrize(
    "text",
    ["sso", "sso =", "= on", "SSO = on", "a = 1", "a = 1.5 per month", "a = -1 per month", "a = 1 per hour",
     "a = list:", "a = list: x, x", "a = list: x,,y", "a = \uff11 per day", "a = 1 per month, firm",
     "a = on\na = off", f"{'a' * 121} = on", "a = 99999999999999999 per day"],
)  # fmt: skip
def test_a_line_that_grants_nothing_is_refused_with_its_number(text):
    with pytest.raises(LineFault, match=r"^Line \d+: "):
        entitlement_lines.read(text)


def test_what_is_stored_wrongly_is_said_and_not_guessed():
    assert (
        entitlement_lines.write("a", "entitlement.boolean.v9", {})
        == "a = cannot be read (entitlement.boolean.v9)"
    )
