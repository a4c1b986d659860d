"""GET /ops/finance/billing/catalog; GET, PUT /ops/finance/billing/plan"""

from typing import Any

from django.http import HttpResponse

from billing.plans import catalog, queries
from billing.plans.api import schemas
from billing.plans.models import BillingTenantConfig
from billing.plans.services import plan as plans
from billing.plans.services.plan import PlanChange
from moneyrails.services import controls
from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.idempotency.http import idempotent

INVALID = "invalid billing plan payload"


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
        answers={200: schemas.ANSWER},
        idempotent=True,
    )
    @idempotent
    def put(self, request: OpsRequest) -> HttpResponse:
        config = plans.replace(
            tenant_id=request.tenant_id,
            change=read_change(request.body_json),
            actor=request.actor,
            now=request.received_at,
        )
        return Json(as_json(config))


def as_json(config: BillingTenantConfig) -> dict[str, Any]:
    """Shape a tenant's plan for the wire."""
    resolved = catalog.resolve(config.base_plan, config.plan_overrides)
    return {
        "tenantId": config.tenant_id,
        "billing": {
            "plan": config.base_plan,
            "planOverrides": catalog.overrides_json(config.plan_overrides),
            "hardLimitEnforced": config.hard_limit_enforced,
            "moneyRails": controls.as_json(controls.get(tenant_id=config.tenant_id)),
        },
        "resolvedPlan": resolved.as_json() | {"hardLimitEnforced": config.hard_limit_enforced},
    }


def read_change(values: dict[str, Any]) -> PlanChange:
    """Read the body of a PUT; the controls inside it are read by their own room."""
    body = Body(values, message=INVALID)
    try:
        overrides = catalog.read_overrides(values.get("planOverrides"))
    except catalog.BadOverrides as problem:
        raise body.fault(str(problem)) from problem
    is_enforced = body.boolean("hardLimitEnforced", default=True)
    return PlanChange(
        base_plan=body.choice("plan", tuple(catalog.CATALOG)),
        plan_overrides=overrides,
        hard_limit_enforced=is_enforced is not False,
        controls=values.get("moneyRails", controls.MISSING),
    )
