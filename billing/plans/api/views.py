"""GET /ops/finance/billing/catalog; GET, PUT /ops/finance/billing/plan"""

from typing import Any

from django.http import HttpResponse

from billing.plans import catalog, queries
from billing.plans.api import schemas
from billing.plans.models import BillingTenantConfig
from billing.plans.services import plan as plans
from billing.plans.services.plan_request import read_change
from moneyrails.services import approval_wire, controls
from settld.api import openapi
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.idempotency.http import idempotent


class Catalog(OpsView):
    """GET /ops/finance/billing/catalog"""

    scopes = {"GET": ("finance_read",)}

    @openapi.describe("List the plans", answers={200: schemas.CATALOG})
    def get(self, request: OpsRequest) -> HttpResponse:
        return Json(catalog.catalog_json())


class TenantPlan(OpsView):
    """GET, PUT /ops/finance/billing/plan"""

    scopes = {"GET": ("finance_read",), "PUT": ("finance_write",)}

    @openapi.describe("Show the tenant's plan and money-rail controls", answers={200: schemas.ANSWER})
    def get(self, request: OpsRequest) -> HttpResponse:
        return Json(as_json(queries.config(tenant_id=request.tenant_id)))

    @openapi.describe(
        "Set the tenant's plan, and its money-rail controls when they are sent",
        body=schemas.BODY,
        answers={200: schemas.ANSWER, 202: approval_wire.PENDING},
        description="Set the tenant's plan, and its money-rail controls when they are sent. Where the tenant"
        " has four eyes and the body would loosen a control, nothing of the body is done, except that a stop"
        " in it stops at once: the answer is 202 with the approval that waits for a second person. A body"
        " that only tightens applies at once.",
        idempotent=True,
    )
    @idempotent
    def put(self, request: OpsRequest) -> HttpResponse:
        done = plans.replace(
            tenant_id=request.tenant_id,
            change=read_change(request.body_json),
            actor=request.actor,
            now=request.received_at,
        )
        if done.approval is not None:
            return approval_wire.pending(done.approval, now=request.received_at, was_stopped=done.was_stopped)
        return Json(as_json(done.config))


def as_json(config: BillingTenantConfig) -> dict[str, Any]:
    """Shape a tenant's plan for the wire."""
    return {
        "tenantId": config.tenant_id,
        "billing": {
            "plan": config.effective_plan,
            "planOverrides": catalog.overrides_json(config.plan_overrides),
            "hardLimitEnforced": config.hard_limit_enforced,
            "moneyRails": controls.as_json(controls.get(tenant_id=config.tenant_id)),
        },
        "resolvedPlan": config.resolved_json(),
    }
