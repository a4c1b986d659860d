"""POST /ops/maintenance/money-rails-reconcile/run"""

from typing import Any, ClassVar

from django.conf import settings

from reconciliation.api import ordered, schemas
from reconciliation.services import scheduler
from settld.api.fields import Body
from settld.api.openapi import BOOL, TEXT, describe, obj
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView

MOST_PROVIDERS = 200
BODY = {
    "period": schemas.PERIOD,
    "month": schemas.PERIOD,
    "providerId": TEXT,
    "force": BOOL,
    "maxTenants": ordered.LIMIT,
    "maxPeriodsPerTenant": ordered.LIMIT,
    "maxPeriods": ordered.LIMIT,
    "maxProvidersPerTenant": ordered.LIMIT,
    "maxProviders": ordered.LIMIT,
    "providerSide": BOOL,
}


class RailReconcileRun(OpsView):
    """Reconcile the caller's tenant now."""

    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"POST": ("ops_write", "finance_write")}

    @describe(
        "Reconcile the tenant's newest months at every provider, and keep the reports",
        description="Runs for the caller's tenant alone. One run at a time over beat, API and command.",
        body=obj(BODY, optional=tuple(BODY)),
        answers={200: schemas.RAIL_RUN},
        refusals=(409,),
    )
    def post(self, request: OpsRequest) -> Json:
        """Run; 409 at once while another run is at work."""
        order = read_order(request.tenant_id, request.body_json)
        result = scheduler.run(order, actor=request.actor, path=request.path)
        told = ("ok", "period", "providerId", "runtimeMs", "summary", "results")
        more = ("skipped", "reason", "nextEligibleAt", "providerSide")
        return Json(
            {name: result[name] for name in told} | {name: result[name] for name in more if name in result}
        )


def read_order(tenant_id: str, values: dict[str, Any]) -> scheduler.Order:
    """Read the body; limits above the most are cut to it."""
    given = Body(values)
    limits = settings.MONEY_RAIL_RECONCILE
    return scheduler.Order(
        tenant_id=tenant_id,
        period=ordered.period(given),
        provider_id=given.text("providerId", most=200),
        force=bool(given.boolean("force", default=True)),
        max_tenants=ordered.limit(
            given, "maxTenants", default=limits["max_tenants"], most=ordered.MOST_TENANTS
        ),
        max_periods_per_tenant=ordered.limit(
            given, "maxPeriodsPerTenant", "maxPeriods", default=limits["max_periods_per_tenant"],
            most=ordered.MOST_PERIODS,
        ),
        max_providers_per_tenant=ordered.limit(
            given, "maxProvidersPerTenant", "maxProviders", default=limits["max_providers_per_tenant"],
            most=MOST_PROVIDERS,
        ),
        with_provider_side=bool(
            given.boolean("providerSide", default=bool(settings.PROVIDER_STATEMENT["enabled"]))
        ),
    )  # fmt: skip
