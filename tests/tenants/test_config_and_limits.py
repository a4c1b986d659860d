"""GET /ops/config, retention days and quotas: platform-operations 3.7."""

import pytest

from settld.core import clock
from settld.tenants.models import Tenant
from settld.tenants.services import limits
from tests.support.api import body, refusal

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("wish", "default", "most", "expected"),
    [
        (None, 7, 0, 7), (None, 0, 30, 30), (0, 7, 0, 0), (0, 7, 30, 30), (90, 7, 30, 30), (10, 7, 30, 10),
        (90, 7, 0, 90),
    ],
)  # fmt: skip
def test_a_wish_is_clamped_by_the_platforms_maximum(wish, default, most, expected):
    assert limits.clamped(wish, default=default, most=most) == expected


def test_an_unknown_tenant_sees_the_defaults_and_is_not_made(api):
    assert body(api.get("/ops/config")) == {
        "tenantId": "tenant_a",
        "config": {
            "evidenceRetentionMaxDays": 365,
            "billing": {"plan": "free", "planOverrides": None, "hardLimitEnforced": True},
            "retention": {"deliveriesDays": 0, "deliveryDlqDays": 0, "ingestRecordsDays": 0},
            "quotas": {},
        },
    }
    assert not Tenant.objects.filter(tenant_id="tenant_a").exists()


def test_a_tenant_sees_its_own_plan_days_and_quotas(api, settings):
    api.post("/ops/tenants/bootstrap", {"billing": {"plan": "growth", "hardLimitEnforced": False}})
    Tenant.objects.filter(tenant_id="tenant_a").update(
        retention={"deliveriesDays": 90}, quotas={"openRuns": 0, "agents": 5}
    )
    settings.RETENTION_MAX_DAYS = 30
    settings.QUOTA_DEFAULTS, settings.QUOTA_MAXIMA = {"rfqs": 4}, {"openRuns": 100}
    config = body(api.get("/ops/config"))["config"]
    assert config["billing"] == {"plan": "growth", "planOverrides": None, "hardLimitEnforced": False}
    assert config["retention"] == {"deliveriesDays": 30, "deliveryDlqDays": 30, "ingestRecordsDays": 30}
    assert config["quotas"] == {"agents": 5, "openRuns": 100, "rfqs": 4}


def test_config_needs_ops_read(api, settings):
    settings.OPS_TOKENS = {"f": frozenset({"finance_read"})}
    assert refusal(api.with_token("f").get("/ops/config")) == (403, "FORBIDDEN")


def test_one_more_than_the_quota_is_429(settings):
    now = clock.now()
    tenant = Tenant(tenant_id="t", quotas={"agents": 2}, created_at=now, updated_at=now)
    limits.require_within_quota(tenant=tenant, kind="agents", current=1)
    limits.require_within_quota(tenant=tenant, kind="others", current=10**6)
    with pytest.raises(limits.TenantQuotaExceeded) as refused:
        limits.require_within_quota(tenant=tenant, kind="agents", current=2)
    assert (refused.value.status, refused.value.code) == (429, "TENANT_QUOTA_EXCEEDED")
    assert refused.value.details == {"kind": "agents", "limit": 2, "current": 2}
