"""GET /ops/config"""

from django.conf import settings
from django.http import HttpResponse

from settld.api import openapi
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.tenants.models import Tenant
from settld.tenants.services import bootstrap, limits

CONFIG = openapi.obj(
    {
        "evidenceRetentionMaxDays": openapi.INT,
        "billing": openapi.obj(
            {
                "plan": openapi.TEXT,
                "planOverrides": openapi.maybe(openapi.OBJECT),
                "hardLimitEnforced": openapi.BOOL,
            }
        ),
        "retention": openapi.obj(dict.fromkeys(limits.RETENTION_KEYS, openapi.INT)),
        "quotas": openapi.mapping(openapi.INT),
    }
)


class OpsConfig(OpsView):
    """GET /ops/config"""

    scopes = {"GET": ("ops_read",)}

    @openapi.describe(
        "Tell the settings in force for the tenant; no secrets",
        answers={200: openapi.obj({"tenantId": openapi.TEXT, "config": CONFIG})},
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        tenant = Tenant.objects.filter(tenant_id=request.tenant_id).first() or Tenant()
        billing = bootstrap.billing_desk[-1](
            tenant_id=request.tenant_id, wish=bootstrap.BillingWish(), now=request.received_at
        )
        return Json(
            {
                "tenantId": request.tenant_id,
                "config": {
                    "evidenceRetentionMaxDays": settings.EVIDENCE_RETENTION_MAX_DAYS,
                    "billing": {
                        "plan": billing["plan"],
                        "planOverrides": billing["planOverrides"],
                        "hardLimitEnforced": billing["hardLimitEnforced"],
                    },
                    "retention": limits.retention(wishes=tenant.retention),
                    "quotas": limits.quotas(wishes=tenant.quotas),
                },
            }
        )
