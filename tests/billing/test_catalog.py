"""The catalog and who may change it: spec 7.7, T-090 to T-092, T-162."""

import dataclasses

import pytest

from billing.models import CatalogItem, Plan, PlanPrice
from billing.provider_time import ProviderTime
from billing.providers import base
from billing.providers.errors import Category, ProviderProblem
from billing.providers.facts import Answer, Listing, PriceFacts
from settld.audit.models import OpsAudit
from settld.core import tenancy, transactions
from tests.billing import factories as make
from tests.billing import people
from tests.support.api import body, refusal

pytestmark = pytest.mark.django_db
PLANS, ITEMS = "console/billing/plans", "console/billing/catalog-items"
SOUND = PriceFacts(
    id="price_1", active=True, type="recurring", currency="USD", unit_amount=4_900, interval="month",
    interval_count=1, usage_type="licensed", product_id="prod_1", product_name="Pro", nickname=None,
    metadata={},
)  # fmt: skip
ONCE = dataclasses.replace(SOUND, type="one_time", interval=None, interval_count=None, usage_type=None)
PRO = {"code": "Pro", "name": "Professional", "corePrice": {"providerPriceId": "price_1"}}


class Prices:
    """The provider as far as the catalog asks it."""

    def __init__(self) -> None:
        self.held: dict[str, PriceFacts] = {}
        self.trouble: ProviderProblem | None = None
        self.listed: list[tuple[object, int]] = []

    def hold(self, *ids: str, of: PriceFacts = SOUND, **more) -> None:
        for price_id in ids:
            self.held[price_id] = dataclasses.replace(of, id=price_id, **more)

    def retrieve_price(self, price_id, *, profile="request"):
        transactions.require_no_transaction()
        if self.trouble is not None:
            raise self.trouble
        if price_id not in self.held:
            raise ProviderProblem(
                "no", category=Category.NOT_FOUND, http_status=404, provider_code="resource_missing"
            )
        return self._answer(self.held[price_id])

    def list_prices(self, *, active=True, limit=100, profile="request"):
        if self.trouble is not None:
            raise self.trouble
        self.listed.append((active, limit))
        return Listing(tuple(self._answer(price) for price in self.held.values()), ProviderTime(1))

    def _answer(self, price):
        return Answer(facts=price, raw={}, provider_time=ProviderTime(1))


@pytest.fixture
def prices(monkeypatch) -> Prices:
    made = Prices()
    made.hold("price_1", "price_2", "price_3")
    made.hold("price_once", of=ONCE)
    monkeypatch.setattr(base, "active", lambda: made)
    return made


@pytest.fixture
def admin():
    return people.person("admin", platform_role="admin")


def audited():
    with tenancy.platform_scope(reason="tests"):
        rows = OpsAudit.objects.filter(action__startswith="BILLING_").order_by("tenant_id", "seq")
        return list(rows.values_list("action", flat=True))


# --- Plans ----------------------------------------------------------------------------------------
def test_t092_a_plan_is_made_with_the_providers_values(admin, prices):
    sent = PRO | {
        "description": " For all ", "isActive": False, "metadataJson": {"a": [1]},
        "corePrice": PRO["corePrice"] | {
            "currency": "EUR", "unitAmountMinor": 1, "interval": "year", "intervalCount": 7,
            "providerProductId": "prod_x",
        },
        "entitlements": [
            {"code": "calls", "schemaVersion": "entitlement.boolean.v1", "valueJson": {"enabled": True}}
        ],
    }  # fmt: skip
    answer = body(admin.post(PLANS, sent))

    assert list(answer) == ["provider", "plan"]
    plan = answer["plan"]
    assert (plan["code"], plan["name"], plan["description"], plan["isActive"], plan["metadataJson"]) == (
        "pro", "Professional", "For all", False, {"a": [1]},
    )  # fmt: skip
    assert plan["corePrice"] == {
        "provider": "stripe", "providerPriceId": "price_1", "providerProductId": "prod_1",
        "interval": "month", "intervalCount": 1, "currency": "USD", "unitAmountMinor": 4_900,
    }  # fmt: skip
    assert [entitlement["code"] for entitlement in plan["entitlements"]] == ["calls"]
    row = Plan.objects.get()
    assert (row.plan_family_code, row.version, row.applies_to) == ("pro", 1, "workspace")
    assert body(admin.get(PLANS)) == {"provider": "stripe", "plans": [plan]}
    assert audited() == ["BILLING_PLAN_CREATE"]


@pytest.mark.parametrize(
    "change",
    [
        {"active": False},
        {"type": "one_time"},
        {"usage_type": "metered"},
        {"interval": "year"},
        {"interval": "week"},
        {"interval_count": 3},
        {"unit_amount": None},
        {"currency": "EUR"},
    ],
)
def test_t092_a_price_that_is_not_monthly_licensed_and_ours_is_refused(admin, prices, change):
    prices.hold("price_9", **change)
    make.plan("held", price_id="price_held")

    for answer in (
        admin.post(PLANS, PRO | {"corePrice": {"providerPriceId": "price_9"}}),
        admin.patch(f"{PLANS}/{Plan.objects.get().pk}", {"corePrice": {"providerPriceId": "price_9"}}),
    ):
        assert refusal(answer) == (400, "VALIDATION_ERROR")
        assert list(body(answer)["fieldErrors"]) == ["corePrice.providerPriceId"]
    assert (Plan.objects.count(), PlanPrice.objects.count(), audited()) == (1, 1, [])


@pytest.mark.parametrize(
    "price_id", ["prod_1", "price_", "price_1 2", "price_é", "../price_1", "PRICE_1", "price_gone"]
)
def test_t092_a_price_id_that_is_none_is_refused(admin, prices, price_id):
    answer = admin.post(PLANS, PRO | {"corePrice": {"providerPriceId": price_id}})
    assert (refusal(answer), list(body(answer)["fieldErrors"])) == (
        (400, "VALIDATION_ERROR"),
        ["corePrice.providerPriceId"],
    )


@pytest.mark.parametrize(
    ("change", "faulty"),
    [
        ({"code": ""}, ["code"]),
        ({"code": "x" * 121}, ["code"]),
        ({"code": "pro plan"}, ["code"]),
        ({"code": "ü"}, ["code"]),
        ({"name": " "}, ["name"]),
        ({"name": "x" * 161}, ["name"]),
        ({"name": 5}, ["name"]),
        ({"isActive": "yes"}, ["isActive"]),
        ({"metadataJson": []}, ["metadataJson"]),
        ({"corePrice": None}, ["corePrice"]),
        ({"corePrice": {}}, ["corePrice.providerPriceId"]),
        ({"corePrice": {"providerPriceId": "price_1", "amount": 1}}, ["corePrice.amount"]),
        (
            {"corePrice": {"providerPriceId": "price_1", "unitAmountMinor": "1"}},
            ["corePrice.unitAmountMinor"],
        ),
        ({"corePrice": {"providerPriceId": "price_1", "interval": "fortnight"}}, ["corePrice.interval"]),
        ({"entitlements": {}}, ["entitlements"]),
        ({"entitlements": [1]}, ["entitlements"]),
        ({"entitlements": [{"code": "a", "schemaVersion": "v"}]}, ["entitlements[0].valueJson"]),
        (
            {"entitlements": [{"code": "a", "schemaVersion": "v", "valueJson": {}, "planId": 1}]},
            ["entitlements[0].planId"],
        ),
        ({"appliesTo": "user"}, ["appliesTo"]),
    ],
)
def test_t092_a_malformed_plan_is_400_and_asks_nobody(admin, monkeypatch, change, faulty):
    monkeypatch.setattr(base, "active", lambda: pytest.fail("the provider was asked"))
    answer = admin.post(PLANS, PRO | change)
    assert refusal(answer) == (400, "VALIDATION_ERROR")
    assert list(body(answer)["fieldErrors"]) == faulty
    assert Plan.objects.count() == 0


def test_t092_a_code_and_a_price_belong_to_one_plan(admin, prices):
    admin.post(PLANS, PRO)

    again = admin.post(PLANS, PRO | {"code": "PRO", "corePrice": {"providerPriceId": "price_2"}})
    assert (again.status_code, body(again)["error"]) == (409, "Billing plan code already exists.")
    same_price = admin.post(PLANS, PRO | {"code": "team"})
    assert (same_price.status_code, body(same_price)["error"]) == (
        409,
        "Provider price id is already mapped to another plan.",
    )
    assert (Plan.objects.count(), PlanPrice.objects.count()) == (1, 1)


def test_t092_a_provider_that_does_not_answer_is_502_and_nothing_is_made(admin, prices):
    prices.trouble = ProviderProblem("away", category=Category.TRANSIENT_NETWORK)
    for answer in (
        admin.post(PLANS, PRO),
        admin.post(ITEMS, {"providerPriceId": "price_once"}),
        admin.get("console/billing/provider-prices"),
    ):
        assert refusal(answer) == (502, "BILLING_PROVIDER_ERROR")
        assert body(answer)["details"]["category"] == "transient_network"
    assert (Plan.objects.count(), CatalogItem.objects.count()) == (0, 0)


def test_t090_a_change_of_price_keeps_the_old_row_mapped_and_unsold(admin, prices):
    plan_id = body(admin.post(PLANS, PRO))["plan"]["id"]
    prices.hold("price_2", unit_amount=5_900)

    def change(price_id):
        return admin.patch(f"{PLANS}/{plan_id}", {"corePrice": {"providerPriceId": price_id}})

    def history():
        rows = PlanPrice.objects.filter(plan_id=plan_id).order_by("id")
        return [(row.provider_price_id, row.unit_amount_minor, row.is_active) for row in rows]

    assert body(change("price_2"))["plan"]["corePrice"]["unitAmountMinor"] == 5_900
    assert history() == [("price_1", 4_900, False), ("price_2", 5_900, True)]
    assert change("price_2").status_code == 200  # as it is
    assert history() == [("price_1", 4_900, False), ("price_2", 5_900, True)]
    assert body(change("price_1"))["plan"]["corePrice"]["providerPriceId"] == "price_1"  # and back
    assert history() == [("price_1", 4_900, True), ("price_2", 5_900, False)]
    assert audited() == ["BILLING_PLAN_CREATE", *["BILLING_PLAN_PRICE"] * 3]


def test_t090_a_price_of_another_plan_is_refused_and_the_sold_one_stays(admin, prices):
    plan_id = body(admin.post(PLANS, PRO))["plan"]["id"]
    admin.post(PLANS, PRO | {"code": "team", "corePrice": {"providerPriceId": "price_2"}})

    answer = admin.patch(f"{PLANS}/{plan_id}", {"corePrice": {"providerPriceId": "price_2"}})
    assert refusal(answer) == (409, "BILLING_PRICE_ALREADY_MAPPED")
    assert PlanPrice.objects.get(plan_id=plan_id).is_active


def test_t090_only_the_price_of_a_known_plan_can_be_changed(admin, prices):
    missing = admin.patch(f"{PLANS}/999", {"corePrice": {"providerPriceId": "price_1"}})
    assert refusal(missing) == (404, "BILLING_PLAN_NOT_FOUND")
    plan_id = body(admin.post(PLANS, PRO))["plan"]["id"]
    for sent in ({}, {"name": "x", "corePrice": {"providerPriceId": "price_2"}}, {"corePrice": "price_2"}):
        assert refusal(admin.patch(f"{PLANS}/{plan_id}", sent)) == (400, "VALIDATION_ERROR")


def test_t091_the_terms_of_a_plan_and_its_price_are_fixed_in_the_database(admin, prices):
    from django.db import IntegrityError, transaction

    admin.post(PLANS, PRO)
    for rows, change in (
        (Plan.objects.all(), {"code": "other"}),
        (Plan.objects.all(), {"version": 2}),
        (PlanPrice.objects.all(), {"unit_amount_minor": 1}),
        (PlanPrice.objects.all(), {"currency": "EUR"}),
        (PlanPrice.objects.all(), {"provider_price_id": "price_9"}),
    ):
        with pytest.raises(IntegrityError, match="never change"), transaction.atomic():
            rows.update(**change)
    assert Plan.objects.update(name="Other") == PlanPrice.objects.update(is_active=False) == 1


# --- Provider prices ------------------------------------------------------------------------------
def test_the_providers_prices_are_listed_to_choose_from(admin, prices):
    prices.held = {"price_1": SOUND, "price_once": ONCE}
    answer = body(admin.get("console/billing/provider-prices"))
    assert answer["provider"] == "stripe"
    assert answer["prices"][0] == {
        "id": "price_1", "provider": "stripe", "productId": "prod_1", "productName": "Pro", "nickname": None,
        "currency": "USD", "unitAmountMinor": 4_900, "interval": "month", "intervalCount": 1,
        "usageType": "licensed", "active": True,
    }  # fmt: skip
    assert answer["prices"][1]["interval"] is None
    admin.get("console/billing/provider-prices?active=false&limit=5")
    assert prices.listed == [(True, 100), (False, 5)]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "active=maybe", "active=1"])
def test_a_malformed_look_at_prices_is_400(admin, prices, query):
    answer = admin.get(f"console/billing/provider-prices?{query}")
    assert refusal(answer) == (400, "VALIDATION_ERROR")
    assert prices.listed == []


# --- One-time items -------------------------------------------------------------------------------
def test_one_time_prices_are_offered_renamed_and_withdrawn(admin, prices):
    made = body(admin.post(ITEMS, {"providerPriceId": "price_once"}))["item"]
    assert (made["name"], made["unitAmountMinor"], made["isActive"]) == ("Pro", 4_900, True)
    assert refusal(admin.post(ITEMS, {"providerPriceId": "price_once"})) == (
        409,
        "BILLING_CATALOG_ITEM_EXISTS",
    )
    changed = body(admin.patch(f"{ITEMS}/{made['id']}", {"name": "Setup"}))["item"]
    assert (changed["name"], changed["isActive"]) == ("Setup", True)
    assert body(admin.patch(f"{ITEMS}/{made['id']}", {"isActive": False}))["item"]["isActive"] is False
    assert [item["name"] for item in body(admin.get(ITEMS))["items"]] == ["Setup"]
    assert refusal(admin.patch(f"{ITEMS}/999", {"isActive": True})) == (404, "BILLING_CATALOG_ITEM_NOT_FOUND")
    assert audited() == ["BILLING_CATALOG_ITEM_CREATE", *["BILLING_CATALOG_ITEM_UPDATE"] * 2]


def test_a_recurring_price_is_no_one_time_item(admin, prices):
    answer = admin.post(ITEMS, {"providerPriceId": "price_1"})
    assert body(answer)["fieldErrors"] == {"providerPriceId": "The price must be one-time."}


# --- T-162 Who may ---------------------------------------------------------------------------------
EVENTS, CATALOG, ENTITIES = (
    "console.billing.events.read_all", "console.billing.catalog.manage", "console.billing.entities.manage",
)  # fmt: skip
CALLS = {
    EVENTS: [("GET", "console/billing/events")],
    CATALOG: [
        ("GET", PLANS), ("POST", PLANS), ("PATCH", f"{PLANS}/1"), ("GET", "console/billing/provider-prices"),
        ("GET", ITEMS), ("POST", ITEMS), ("PATCH", f"{ITEMS}/1"),
    ],
    ENTITIES: [
        ("POST", "console/billing/entities"), ("PATCH", "console/billing/entities/1"),
        ("GET", "console/billing/entities/1/grants"), ("POST", "console/billing/entities/1/grants"),
        ("POST", "console/billing/entities/1/grants/1/revoke"),
    ],
}  # fmt: skip


def opened(caller):
    """The permissions whose every call gets past the door."""
    statuses = {
        permission: {caller.call(method, path, {"x": 1}).status_code == 403 for method, path in calls}
        for permission, calls in CALLS.items()
    }
    assert all(len(shut) == 1 for shut in statuses.values())
    return {permission for permission, shut in statuses.items() if shut == {False}}


def test_t162_platform_roles_open_their_part_of_the_console(prices):
    assert opened(people.person("op", platform_role="operator")) == {EVENTS, ENTITIES}
    assert opened(people.person("admin", platform_role="admin")) == {EVENTS, CATALOG, ENTITIES}
    assert opened(people.person("owner", tenant_a="owner")) == set()
    assert opened(people.api_key("finance_write", "ops_write", "audit_read")) == set()


def test_t162_ops_tokens_of_the_whole_deployment_open_it_by_their_scopes(prices, settings):
    settings.OPS_TOKENS = {
        "tok_write": frozenset({"finance_write"}),
        "tok_read": frozenset({"finance_read"}),
        "tok_ops": frozenset({"ops_write"}),
    }
    found = {
        token: opened(people.Caller(headers={"x-proxy-ops-token": token})) for token in settings.OPS_TOKENS
    }
    assert found == {"tok_write": {EVENTS, CATALOG, ENTITIES}, "tok_read": {EVENTS}, "tok_ops": set()}


def test_t162_a_token_of_some_tenants_opens_nothing(prices):
    from settld.core.hashing import sha256_hex
    from settld.tenants.models import OpsToken

    OpsToken.objects.create(
        name="few", token_hash=sha256_hex("tok_few"), scopes=["finance_write"], tenant_ids=["tenant_default"],
        created_at=make.NOW,
    )  # fmt: skip
    assert opened(people.Caller(headers={"x-proxy-ops-token": "tok_few"})) == set()


def test_t162_a_refusal_names_the_permission_and_comes_before_the_schema():
    answer = people.person("op", platform_role="operator").post(PLANS, {"nonsense": 1})
    assert answer.status_code == 403
    assert body(answer) == {
        "error": "You do not have permission to do this.",
        "code": "CONSOLE_PERMISSION_REQUIRED",
        "details": {"code": "CONSOLE_PERMISSION_REQUIRED", "permission": CATALOG},
    }


def test_t162_staff_give_their_second_factor_where_the_deployment_asks(settings):
    settings.STAFF_SECOND_FACTOR = True
    assert opened(people.person("admin", platform_role="admin")) == set()


def test_t162_a_read_over_all_tenants_is_audited(admin):
    admin.get("console/billing/events")
    with tenancy.platform_scope(reason="tests"):
        row = OpsAudit.objects.get(action="PLATFORM_READ")
    assert (row.tenant_id, row.target_id) == ("tenant_default", "/api/console/billing/events")
    assert row.actor_principal_id == f"person:{admin.user.pk}"


# --- External entities and grants -----------------------------------------------------------------
def test_operators_register_outsiders_and_grant_people_access():
    op, ann = people.person("op", platform_role="operator"), people.person("ann")
    make.tenant()
    wish = {"tenantId": "tenant_a", "namespace": "crm", "externalId": "42"}
    entity = body(op.post("console/billing/entities", wish))["billableEntity"]
    assert (entity["entityType"], entity["entityRef"]) == ("external", "external:crm:42")
    assert body(op.post("console/billing/entities", wish))["billableEntity"] == entity
    named = {"x_billable_entity_id": str(entity["id"])}
    assert ann.get("billing/subscription", **named).status_code == 403

    grants = f"console/billing/entities/{entity['id']}/grants"
    sent = {"principalType": "user", "principalId": str(ann.user.pk), "canManage": True}
    made = body(op.post(grants, sent))["grant"]
    assert ann.post("billing/payment-methods/sync", **named).status_code == 200
    assert refusal(op.post(grants, sent)) == (409, "BILLING_GRANT_EXISTS")
    ended = body(op.post(f"{grants}/{made['id']}/revoke"))["grant"]
    assert ended["revokedAt"]
    assert body(op.post(f"{grants}/{made['id']}/revoke"))["grant"] == ended
    assert ann.get("billing/subscription", **named).status_code == 403
    assert op.post(grants, sent).status_code == 200
    assert [row["revokedAt"] is None for row in body(op.get(grants))["grants"]] == [True, False]
    assert body(op.patch(f"console/billing/entities/{entity['id']}", {"status": "inactive"}))
    refused = ann.post("billing/payment-methods/sync", **named)
    assert refusal(refused) == (409, "BILLING_ENTITY_INACTIVE")
    assert audited() == [
        "BILLING_ENTITY_CREATE", "BILLING_GRANT_GIVE", "BILLING_GRANT_REVOKE", "BILLING_GRANT_REVOKE",
        "BILLING_GRANT_GIVE", "BILLING_ENTITY_STATUS",
    ]  # fmt: skip


def test_grants_are_for_outsiders_only_and_end_in_the_future():
    op = people.person("op", platform_role="operator")
    workspace, outside = make.workspace_entity(), people.external_entity()
    sent = {"principalType": "user", "principalId": "1"}

    def give(entity, **more):
        return op.post(f"console/billing/entities/{entity.pk}/grants", sent | more)

    assert refusal(give(workspace)) == (409, "BILLING_ENTITY_NOT_EXTERNAL")
    assert list(body(give(outside, expiresAt="2020-01-01T00:00:00Z"))["fieldErrors"]) == ["expiresAt"]
    assert list(body(give(outside, expiresAt="tomorrow"))["fieldErrors"]) == ["expiresAt"]
    unknown = op.post(
        "console/billing/entities", {"tenantId": "nowhere", "namespace": "a", "externalId": "1"}
    )
    assert refusal(unknown) == (404, "TENANT_NOT_FOUND")
