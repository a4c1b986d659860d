"""GET, PUT /ops/finance/billing/subscription, and the plan in force (settld-billing-and-finance 1.4, 1.5)."""

import threading

import pytest
from django.db import DatabaseError, connection, transaction

from billing.plans import catalog
from moneyrails.models import Approval
from settld.audit.models import OpsAudit
from settld.core import clock, tenancy
from tests.support.api import body, refusal

PATH = "/ops/finance/billing/subscription"
PLAN = "/ops/finance/billing/plan"
RECORD = {
    "provider": "stripe", "customerId": "cus_1", "subscriptionId": "sub_1", "priceId": "price_1",
    "status": "active", "plan": "growth", "currentPeriodStart": "2026-03-01T00:00:00Z",
    "currentPeriodEnd": 1_775_001_600, "cancelAtPeriodEnd": True, "canceledAt": 1_772_323_200_123,
    "sourceEventCreatedAt": "2026-03-01T01:00:00+01:00", "lastEventId": "evt_1",
    "lastEventType": "customer.subscription.updated", "updatedAt": "2026-03-02T00:00:00Z",
    "metadata": {"a": 1},
}  # fmt: skip


def plans(api):
    answer = body(api.get(PLAN))
    return answer["billing"]["plan"], answer["resolvedPlan"]["planId"]


def test_a_tenant_without_one_has_null(db, api):
    answer = body(api.get(PATH))

    assert (answer["tenantId"], answer["subscription"]) == ("tenant_a", None)
    assert (answer["resolvedPlan"]["planId"], answer["resolvedPlan"]["hardLimitEnforced"]) == ("free", True)


@pytest.mark.parametrize("is_flat", [False, True])
def test_the_record_comes_back_with_its_instants_in_iso(db, api, is_flat):
    written = api.put(PATH, RECORD if is_flat else {"subscription": RECORD})

    assert written.status_code == 200
    assert body(written) == body(api.get(PATH))
    assert body(written)["subscription"] == RECORD | {
        "currentPeriodStart": "2026-03-01T00:00:00.000Z", "currentPeriodEnd": "2026-04-01T00:00:00.000Z",
        "canceledAt": "2026-03-01T00:00:00.123Z", "sourceEventCreatedAt": "2026-03-01T00:00:00.000Z",
        "updatedAt": "2026-03-02T00:00:00.000Z",
    }  # fmt: skip
    assert plans(api) == ("growth", "growth")


def test_a_record_is_replaced_whole_and_null_clears_it(db, api):
    api.put(PATH, {"subscription": RECORD})
    with clock.freeze(clock.parse_iso("2026-03-09T00:00:00Z")):
        replaced = body(api.put(PATH, {"subscription": {"status": " Trialing ", "plan": " BUILDER "}}))
    nothing = dict.fromkeys(RECORD)

    assert replaced["subscription"] == nothing | {
        "status": "trialing", "plan": "builder", "cancelAtPeriodEnd": False,
        "updatedAt": "2026-03-09T00:00:00.000Z",
    }  # fmt: skip
    assert body(api.put(PATH, {"subscription": None}))["subscription"] is None
    assert plans(api) == ("free", "free")


def test_a_body_of_only_a_plan_sets_the_base_plan_and_leaves_the_record(db, api):
    api.put(PATH, {"subscription": RECORD | {"status": "past_due"}})

    answer = body(api.put(PATH, {"plan": "Builder"}))

    assert answer["subscription"]["subscriptionId"] == "sub_1"
    assert answer["resolvedPlan"]["planId"] == "growth"
    api.put(PATH, {"subscription": None})
    assert plans(api) == ("builder", "builder")


def test_a_top_level_plan_beside_a_record_is_the_base_plan(db, api):
    api.put(PATH, {"plan": "builder", "subscription": {"plan": "growth", "status": "active"}})
    assert plans(api) == ("growth", "growth")

    api.put(PATH, {"subscription": {"plan": "growth", "status": "canceled"}})
    assert plans(api) == ("builder", "builder")


@pytest.mark.parametrize("status", sorted(catalog.NOT_ENTITLING))
def test_a_status_that_does_not_entitle_gives_the_base_plan(db, api, status):
    """The peer lets `incomplete` entitle, and keeps the paid plan after cancellation (1.4.2)."""
    api.put(PATH, {"subscription": {"plan": "growth", "status": "active"}})
    answer = body(api.put(PATH, {"subscription": {"plan": "growth", "status": status.upper()}}))

    assert answer["resolvedPlan"]["planId"] == "free"
    assert plans(api) == ("free", "free")


@pytest.mark.parametrize("status", ["active", "past_due", "trialing", "something_new", None])
def test_every_other_status_entitles_and_none_does_too(db, api, status):
    api.put(PATH, {"subscription": {"plan": "enterprise", "status": status}})

    assert plans(api) == ("enterprise", "enterprise")


def test_overrides_and_enforcement_apply_to_the_plan_in_force_and_survive(db, api):
    api.put(PLAN, {"planOverrides": {"subscriptionCents": 5}, "hardLimitEnforced": False})
    api.put(PLAN, {"planOverrides": {"subscriptionCents": 7}, "moneyRails": {"dailyPayoutLimitCents": 9}})

    resolved = body(api.put(PATH, {"subscription": {"plan": "growth"}}))["resolvedPlan"]

    assert (resolved["planId"], resolved["subscriptionCents"]) == ("growth", 7)
    assert resolved["hardLimitEnforced"] is True
    assert body(api.get(PLAN))["billing"]["moneyRails"]["dailyPayoutLimitCents"] == 9


@pytest.mark.parametrize(
    "sent",
    [
        {"plan": "platinum"},
        {"plan": 5},
        {"subscription": []},
        {"subscription": {"plan": "platinum"}},
        {"subscription": {"status": 1}},
        {"subscription": {"cancelAtPeriodEnd": "true"}},
        {"subscription": {"metadata": []}},
        {"subscription": {"canceledAt": "2026-03-01"}},
        {"subscription": {"canceledAt": True}},
        {"subscription": {"canceledAt": 1.5}},
        {"subscription": {"canceledAt": -1}},
        {"subscription": {"canceledAt": 10**12}},
        {"subscription": {"canceledAt": 2**53 - 1}},
        {"subscription": {"customerId": "x" * 501}},
        {"customerId": {}},
    ],
)
def test_a_bad_payload_changes_nothing(db, api, sent):
    api.put(PATH, {"subscription": RECORD})
    before = api.get(PATH).content

    answer = api.put(PATH, sent)

    assert refusal(answer) == (400, "SCHEMA_INVALID")
    assert body(answer)["error"] == "invalid billing subscription payload"
    assert api.get(PATH).content == before


def test_the_audit_tells_the_plan_before_and_after(db, api):
    api.put(PATH, {"subscription": RECORD}, key="k")
    api.put(PATH, {"subscription": RECORD}, key="k")

    with tenancy.tenant_scope("tenant_a"):
        (row,) = OpsAudit.objects.filter(action="BILLING_SUBSCRIPTION_UPSERT")
    assert (row.details["previousPlan"], row.details["plan"]) == ("free", "growth")
    assert row.details["before"]["subscription"] is None
    assert row.details["after"]["subscription"]["subscriptionId"] == "sub_1"


def test_another_base_plan_ends_a_request_that_was_asked_against_the_old_one(db, api):
    rails = {"dailyPayoutLimitCents": 5, "fourEyes": True}
    api.put(PLAN, {"moneyRails": rails})
    waiting = api.put(PLAN, {"moneyRails": rails | {"dailyPayoutLimitCents": 9}})
    assert waiting.status_code == 202

    api.put(PATH, {"subscription": RECORD})
    with tenancy.tenant_scope("tenant_a"):
        assert Approval.objects.get().status == "pending"
    api.put(PATH, {"plan": "builder"})
    with tenancy.tenant_scope("tenant_a"):
        assert Approval.objects.get().status == "superseded"


def test_the_database_knows_plans_and_holds_no_half_record(db, api):
    api.put(PATH, {"subscription": RECORD})
    for change in ("subscription_plan = 'platinum'", "subscription_updated_at = NULL"):
        with pytest.raises(DatabaseError, match="billing_config_subscription"), transaction.atomic():
            with tenancy.tenant_scope("tenant_a"), connection.cursor() as cursor:
                cursor.execute(f"UPDATE billing_tenant_config SET {change}")


def test_plan_subscription_and_controls_lose_none_of_each_others_updates(live_db, api):
    """The peer rewrites one JSON blob from a stale read (1.5)."""
    api.put(PLAN, {"plan": "free"})
    writes = [
        (PATH, {"subscription": RECORD}),
        (PLAN, {"plan": "builder", "planOverrides": {"subscriptionCents": 3}}),
        (PLAN, {"planOverrides": {"subscriptionCents": 3}, "moneyRails": {"dailyPayoutLimitCents": 4}}),
    ]
    gate = threading.Barrier(len(writes))

    def write(path, sent):
        try:
            gate.wait()
            assert api.as_tenant("tenant_a").put(path, sent).status_code == 200
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=pair) for pair in writes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    plan = body(api.get(PLAN))
    assert body(api.get(PATH))["subscription"]["subscriptionId"] == "sub_1"
    assert plan["billing"]["planOverrides"] == {"subscriptionCents": 3}
    assert plan["billing"]["moneyRails"]["dailyPayoutLimitCents"] == 4
    api.put(PATH, {"subscription": None})
    assert plans(api) == ("builder", "builder")
