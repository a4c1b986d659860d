"""GET, PUT /ops/finance/billing/plan (settld-billing-and-finance 1.4, 1.5; money-rails 2.9)."""

import pytest
from django.db import DatabaseError, connection

from billing.plans.models import BillingTenantConfig
from settld.audit.models import OpsAudit
from settld.core import tenancy
from tests.support.api import body, refusal

PATH = "/ops/finance/billing/plan"
pytestmark = pytest.mark.django_db


def audit_rows(tenant_id="tenant_a"):
    with tenancy.tenant_scope(tenant_id):
        return list(OpsAudit.objects.filter(tenant_id=tenant_id, action="BILLING_PLAN_UPSERT").order_by("id"))


def test_a_tenant_that_never_set_anything_has_the_free_plan_and_default_controls(api):
    answer = body(api.get(PATH))

    assert answer["tenantId"] == "tenant_a"
    assert answer["billing"]["plan"] == "free"
    assert answer["billing"]["planOverrides"] is None
    assert answer["billing"]["hardLimitEnforced"] is True
    assert answer["billing"]["moneyRails"]["realMoneyEnabled"] is False
    assert answer["billing"]["moneyRails"]["connect"]["enabled"] is False
    assert answer["billing"]["moneyRails"]["chargebacks"]["enabled"] is False
    assert answer["resolvedPlan"]["planId"] == "free"
    assert answer["resolvedPlan"]["hardLimitEnforced"] is True


def test_reading_writes_nothing(api):
    api.get(PATH)

    with tenancy.tenant_scope("tenant_a"):
        assert not BillingTenantConfig.objects.exists()


def test_put_answers_the_shape_of_get(api):
    sent = {"plan": " Growth ", "planOverrides": {"verifiedRunOverageCents": 0.3}, "hardLimitEnforced": False}

    written = api.put(PATH, sent)

    assert written.status_code == 200
    assert body(written) == body(api.get(PATH))
    assert body(written)["billing"]["plan"] == "growth"
    assert body(written)["billing"]["planOverrides"] == {
        "verifiedRunOverageCents": 0.3,
        "verifiedRunOverageMilliCents": 300,
    }
    assert body(written)["resolvedPlan"]["verifiedRunOverageMilliCents"] == 300
    assert body(written)["resolvedPlan"]["hardLimitEnforced"] is False


def test_an_absent_plan_keeps_the_base_plan_and_absent_overrides_are_cleared(api):
    api.put(PATH, {"plan": "builder", "planOverrides": {"subscriptionCents": 1}, "hardLimitEnforced": False})

    answer = body(api.put(PATH, {}))

    assert answer["billing"]["plan"] == "builder"
    assert answer["billing"]["planOverrides"] is None
    assert answer["billing"]["hardLimitEnforced"] is True


@pytest.mark.parametrize(
    "sent",
    [
        {"plan": "platinum"},
        {"plan": 1},
        {"planOverrides": []},
        {"planOverrides": {"subscriptionCents": None}},
        {"hardLimitEnforced": "true"},
        {"moneyRails": []},
        {"moneyRails": {"payoutKillSwitch": "true"}},
    ],
)
def test_a_bad_payload_changes_nothing(api, sent):
    api.put(PATH, {"plan": "builder", "moneyRails": {"payoutKillSwitch": True}})
    before = api.get(PATH).content

    answer = api.put(PATH, {"plan": "growth"} | sent)

    assert refusal(answer) == (400, "SCHEMA_INVALID")
    assert body(answer)["error"] == "invalid billing plan payload"
    assert body(answer)["details"]["message"]
    assert api.get(PATH).content == before
    assert len(audit_rows()) == 1


def test_absent_controls_stay_and_null_resets_them(api):
    api.put(PATH, {"moneyRails": {"payoutKillSwitch": True, "dailyPayoutLimitCents": 500}})

    kept = body(api.put(PATH, {"plan": "builder"}))["billing"]["moneyRails"]
    reset = body(api.put(PATH, {"moneyRails": None}))["billing"]["moneyRails"]

    assert (kept["payoutKillSwitch"], kept["dailyPayoutLimitCents"]) == (True, 500)
    assert (reset["payoutKillSwitch"], reset["dailyPayoutLimitCents"]) == (False, None)


def test_the_audit_tells_the_controls_before_and_after(api):
    api.put(PATH, {"plan": "builder", "moneyRails": {"dailyPayoutLimitCents": 500}})
    api.put(PATH, {"planOverrides": {"subscriptionCents": 1}, "moneyRails": {"dailyPayoutLimitCents": 900}})

    details = audit_rows()[-1].details

    assert details["plan"] == "builder"
    assert details["hardLimitEnforced"] is True
    assert details["hasPlanOverrides"] is True
    assert details["hasMoneyRailsControls"] is True
    assert details["before"]["controls"]["dailyPayoutLimitCents"] == 500
    assert details["after"]["controls"]["dailyPayoutLimitCents"] == 900
    assert details["before"]["planOverrides"] is None


def test_the_same_key_replays_and_writes_once(api):
    first = api.put(PATH, {"plan": "builder"}, key="k1")
    again = api.put(PATH, {"plan": "builder"}, key="k1")

    assert again.content == first.content
    assert again["x-idempotent-replay"] == "true"
    assert len(audit_rows()) == 1


def test_tenants_have_plans_of_their_own(api):
    api.put(PATH, {"plan": "enterprise"})

    assert body(api.as_tenant("tenant_b").get(PATH))["billing"]["plan"] == "free"


def test_another_tenants_plan_cannot_be_written_in_sql(api):
    api.put(PATH, {"plan": "enterprise"})

    with tenancy.tenant_scope("tenant_b"), connection.cursor() as cursor:
        cursor.execute("UPDATE billing_tenant_config SET base_plan = 'free'")
        assert cursor.rowcount == 0
    with pytest.raises(DatabaseError), tenancy.tenant_scope("tenant_b"), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO billing_tenant_config"
            " (id, tenant_id, base_plan, hard_limit_enforced, created_at, updated_at)"
            " VALUES (gen_random_uuid(), 'tenant_a', 'free', true, now(), now())"
        )


def test_reading_and_writing_want_their_scopes(api, settings):
    settings.OPS_TOKENS = {"reader": frozenset({"finance_read"}), "other": frozenset({"ops_write"})}

    assert api.with_token("reader").get(PATH).status_code == 200
    assert refusal(api.with_token("reader").put(PATH, {})) == (403, "FORBIDDEN")
    assert refusal(api.with_token("other").get(PATH)) == (403, "FORBIDDEN")
