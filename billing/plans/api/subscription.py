"""GET, PUT /ops/finance/billing/subscription"""

from typing import Any

from django.http import HttpResponse

from billing.plans import queries
from billing.plans.api import schemas
from billing.plans.models import BillingTenantConfig
from billing.plans.services import subscription
from billing.plans.services.subscription_request import read_change
from settld.api import openapi
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.idempotency.http import idempotent


class TenantSubscription(OpsView):
    """GET, PUT /ops/finance/billing/subscription"""

    scopes = {"GET": ("finance_read",), "PUT": ("finance_write",)}

    @openapi.describe(
        "Show the tenant's subscription record and the plan in force",
        answers={200: schemas.SUBSCRIPTION_ANSWER},
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        return Json(as_json(queries.config(tenant_id=request.tenant_id)))

    @openapi.describe(
        "Set the tenant's subscription record by hand",
        body=schemas.SUBSCRIPTION_BODY,
        answers={200: schemas.SUBSCRIPTION_ANSWER},
        description="The record comes under `subscription` (null clears it) or as flat fields, and is"
        " replaced whole. A top-level `plan` sets the base plan; a body of nothing else leaves the record."
        " In the flat form `plan` is the record's plan, too.",
        idempotent=True,
    )
    @idempotent
    def put(self, request: OpsRequest) -> HttpResponse:
        config = subscription.upsert(
            tenant_id=request.tenant_id,
            change=read_change(request.body_json, now=request.received_at),
            actor=request.actor,
            now=request.received_at,
        )
        return Json(as_json(config))


def as_json(config: BillingTenantConfig) -> dict[str, Any]:
    """Shape a tenant's subscription for the wire."""
    return {
        "tenantId": config.tenant_id,
        "subscription": config.subscription_json(),
        "resolvedPlan": config.resolved_json(),
    }
