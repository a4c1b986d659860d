"""The entitlement registry: section 10, T-169, INV-44."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from billing.models import Entitlement, Plan, PlanPrice
from billing.services import entitlements
from billing.services.entitlements import EntitlementSchemaInvalid, problem_of
from settld.core.money import MAX_MINOR
from tests.billing import factories as make
from tests.billing import people
from tests.support.api import body, refusal

BOOLEAN, QUOTA, LIST = (f"entitlement.{kind}.v1" for kind in ("boolean", "quota", "string_list"))
SOUND_QUOTA = {"limit": 3, "interval": "month", "enforcement": "hard"}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (BOOLEAN, {"enabled": True}),
        (BOOLEAN, {"enabled": False}),
        (QUOTA, SOUND_QUOTA),
        (QUOTA, {"limit": 0, "interval": "day", "enforcement": "soft"}),
        (QUOTA, {"limit": MAX_MINOR, "interval": "week", "enforcement": "soft"}),
        (QUOTA, {"limit": 1, "interval": "year", "enforcement": "hard"}),
        (LIST, {"values": ["a"]}),
        (LIST, {"values": [" a ", "b", "A"]}),
    ],
)
def test_t169_what_fits_its_schema_is_valid(schema, value):
    assert problem_of(schema, value) is None


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        *[(BOOLEAN, {"enabled": value}) for value in (1, 0, "true", None, [])],
        (BOOLEAN, {}),
        (BOOLEAN, {"enabled": True, "more": 1}),
        *[(QUOTA, SOUND_QUOTA | {"limit": value}) for value in (-1, True, "3", 3.0, None, MAX_MINOR + 1)],
        *[(QUOTA, SOUND_QUOTA | {"interval": value}) for value in ("lifetime", "Month", None, ["month"], {})],
        *[(QUOTA, SOUND_QUOTA | {"enforcement": value}) for value in ("none", True, None, [])],
        (QUOTA, SOUND_QUOTA | {"more": 1}),
        (QUOTA, {"limit": 3, "interval": "month"}),
        *[
            (LIST, {"values": values})
            for values in ([], [""], ["  "], ["a", " a "], ["a", 1], [None], [["a"]], "a", None, {"a": 1})
        ],
        (LIST, {"values": ["a"], "more": 1}),
        *[(schema, value) for schema in (BOOLEAN, QUOTA, LIST) for value in (None, [], "x", 1, True)],
    ],
)
def test_t169_what_breaks_its_schema_is_an_invalid_payload(schema, value):
    assert problem_of(schema, value) == "invalid_payload"


@pytest.mark.parametrize("schema", ["entitlement.quota.v2", "", "quota", None, 1, [], "Entitlement.Quota.v1"])
def test_t169_an_unknown_version_is_said_to_be_one(schema):
    assert problem_of(schema, SOUND_QUOTA) == "unknown_schema_version"


def test_t169_the_database_knows_the_versions_too(db):
    plan = make.plan()
    for wrong in ("entitlement.quota.v2", ""):
        with pytest.raises(IntegrityError, match="entitlement_schema_known"), transaction.atomic():
            make.entitlement(plan, "calls", wrong, SOUND_QUOTA)


def test_t169_a_list_is_read_trimmed():
    read = entitlements.understand(
        code="c", schema_version=LIST, value={"values": [" a ", "b"]}, plan_code="p", plan_version=1
    )
    assert (read.values, read.type) == (("a", "b"), "string_list")


# --- Reading fails closed -------------------------------------------------------------------------
@pytest.fixture
def misread(db, monkeypatch):
    """An entity whose plan grants one sound thing and one that cannot be read; and the alerts."""
    from billing.services import guardrails

    alerts = []
    monkeypatch.setattr(guardrails, "emit", lambda code, **context: alerts.append((code.value, context)))
    entity, plan = make.workspace_entity(), make.plan()
    make.entitlement(plan, "a_sound", BOOLEAN, {"enabled": True})
    make.entitlement(plan, "calls", QUOTA, SOUND_QUOTA | {"limit": "3"})
    make.subscription(entity, plan, make.customer(entity))
    return entity, alerts


@pytest.mark.parametrize("path", ["billing/limitations", "billing/plans"])
def test_t169_a_read_fails_closed_with_an_alert(misread, path):
    answer = people.api_key("ops_read").get(path)

    assert answer.status_code == 500
    assert body(answer) == {
        "error": "Entitlement configuration is invalid.",
        "code": "ENTITLEMENT_SCHEMA_INVALID",
        "details": {
            "code": "ENTITLEMENT_SCHEMA_INVALID",
            "schemaVersion": QUOTA,
            "reason": "invalid_payload",
        },
    }
    (alert,) = misread[1]
    assert alert[0] == "BILLING_ENTITLEMENT_SCHEMA_INVALID"
    assert (alert[1]["plan_code"], alert[1]["plan_version"]) == ("pro", 1)
    assert (alert[1]["entitlement_code"], alert[1]["reason"]) == ("calls", "invalid_payload")


def test_t169_nothing_is_granted_by_what_cannot_be_read(misread):
    from billing.services import limits

    with pytest.raises(EntitlementSchemaInvalid):
        limits.enforce_limit_and_record_usage(
            entity=misread[0], limitation_code="calls", action=pytest.fail, now=make.NOW
        )


# --- Writing --------------------------------------------------------------------------------------
def seed(tmp_path, document, *, trust=True):
    file = tmp_path / "plans.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    call_command("billing_seed_plans", str(file), trust_file=trust)


PRO = {
    "code": "Pro",
    "name": "Professional",
    "corePrice": {"providerPriceId": "price_pro", "unitAmountMinor": 4_900},
    "entitlements": [{"code": "calls", "schemaVersion": QUOTA, "valueJson": SOUND_QUOTA}],
}


def test_t169_publishing_makes_and_later_updates_plans(db, tmp_path, capsys):
    seed(
        tmp_path,
        {
            "plans": [
                PRO,
                PRO | {"code": "team", "corePrice": {"providerPriceId": "price_team", "unitAmountMinor": 0}},
            ]
        },
    )
    assert sorted(Plan.objects.values_list("code", flat=True)) == ["pro", "team"]
    dearer = {"providerPriceId": "price_pro_2", "unitAmountMinor": 5_900}
    seed(tmp_path, {"plans": [PRO | {"name": "Pro", "corePrice": dearer, "entitlements": []}]})

    plan = Plan.objects.get(code="pro")
    assert (plan.name, plan.entitlements.count()) == ("Pro", 0)
    prices = PlanPrice.objects.filter(plan=plan).order_by("id")
    assert [(p.provider_price_id, p.unit_amount_minor, p.is_active) for p in prices] == [
        ("price_pro", 4_900, False),
        ("price_pro_2", 5_900, True),
    ]
    seed(tmp_path, {"plans": [PRO]})  # and back again: the old row, not a third
    assert PlanPrice.objects.get(plan=plan, is_active=True).provider_price_id == "price_pro"
    assert PlanPrice.objects.filter(plan=plan).count() == 2


def granted(schema, value):
    """A second plan that grants one thing."""
    return {"code": "b", "entitlements": [{"code": "x", "schemaVersion": schema, "valueJson": value}]}


def sold_at(price_id, amount):
    """A second plan at a price."""
    return {"code": "b", "corePrice": {"providerPriceId": price_id, "unitAmountMinor": amount}}


@pytest.mark.parametrize(
    ("second", "place"),
    [
        (granted(QUOTA, {}), "plans[1].entitlements[0].valueJson: invalid_payload"),
        (granted("v9", {}), "plans[1].entitlements[0].valueJson: unknown_schema_version"),
        ({"code": "b", "entitlements": [{"code": "x"}]}, "plans[1].entitlements[0]:"),
        ({"code": "b", "entitlements": PRO["entitlements"] * 2}, "plans[1].entitlements[1].code"),
        (sold_at("price_b", 1.5), "plans[1].corePrice.unitAmountMinor"),
        (sold_at("prod_1", 1), "plans[1].corePrice.providerPriceId"),
        ({"code": "b"}, "already mapped to another plan"),
        ({"code": 5, "nope": 1}, "plans[1].nope: Unknown field."),
    ],
)
def test_t169_a_fault_anywhere_publishes_nothing(db, tmp_path, second, place):
    require_nothing_published(tmp_path, {"plans": [PRO, PRO | second]}, place)


@pytest.mark.parametrize(
    ("document", "place"),
    [({"plans": []}, "plans must be a list"), ([], "plans must be a list"), ("{", "cannot read")],
)
def test_t169_a_document_of_another_shape_publishes_nothing(db, tmp_path, document, place):
    require_nothing_published(tmp_path, document, place)


def require_nothing_published(tmp_path, document, place):
    with pytest.raises(CommandError) as refused:
        seed(tmp_path, document)
    assert place in str(refused.value)
    assert (Plan.objects.count(), PlanPrice.objects.count(), Entitlement.objects.count()) == (0, 0, 0)


def test_t169_the_admin_refuses_what_could_not_be_read_back(db):
    from billing.admin.kept import EntitlementForm

    def form(value):
        return EntitlementForm({"code": "c", "schema_version": QUOTA, "value_json": json.dumps(value)})

    assert form(SOUND_QUOTA).is_valid()
    assert not form(SOUND_QUOTA | {"limit": -1}).is_valid()
    assert "value_json" in form({}).errors


def test_publishing_needs_billing_to_be_on(db, tmp_path, settings):
    import dataclasses

    settings.BILLING = dataclasses.replace(settings.BILLING, enabled=False)
    with pytest.raises(CommandError, match="BILLING_ENABLED"):
        seed(tmp_path, {"plans": [PRO]})


def test_a_refusal_of_the_api_names_the_place(db, api):
    sent = {
        "code": "pro", "name": "Pro", "corePrice": {"providerPriceId": "price_1"},
        "entitlements": [PRO["entitlements"][0], {"code": "b", "schemaVersion": BOOLEAN, "valueJson": {}}],
    }  # fmt: skip
    answer = api.post("/api/console/billing/plans", sent)
    assert refusal(answer) == (400, "VALIDATION_ERROR")
    assert list(body(answer)["fieldErrors"]) == ["entitlements[1].valueJson"]
