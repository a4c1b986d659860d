"""POST /ops/maintenance/finance-reconcile/run"""

from typing import Any, ClassVar, Final

from django.conf import settings

from reconciliation.api import ordered, schemas
from reconciliation.services import finance_scheduler
from settld.api.fields import Body
from settld.api.openapi import BOOL, describe, obj
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView

BODY: Final = {
    "period": schemas.PERIOD,
    "month": schemas.PERIOD,
    "force": BOOL,
    "maxTenants": ordered.LIMIT,
    "maxPeriodsPerTenant": ordered.LIMIT,
    "maxPeriods": ordered.LIMIT,
}


class FinanceReconcileRun(OpsView):
    """Reconcile the books of the caller's tenant now."""

    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"POST": ("ops_write", "finance_write")}

    @describe(
        "Reconcile the books of the tenant's newest closed months, and keep the reports",
        description="Runs for the caller's tenant alone. One run at a time over beat and API.",
        body=obj(BODY, optional=tuple(BODY)),
        answers={200: schemas.FINANCE_RUN},
        refusals=(409,),
    )
    def post(self, request: OpsRequest) -> Json:
        """Run; 409 at once while another run is at work."""
        order = read_order(request.tenant_id, request.body_json)
        result = finance_scheduler.run(order, actor=request.actor, path=request.path)
        told = ("ok", "period", "runtimeMs", "summary", "results")
        more = ("skipped", "reason", "nextEligibleAt")
        return Json(
            {name: result[name] for name in told} | {name: result[name] for name in more if name in result}
        )


def read_order(tenant_id: str, values: dict[str, Any]) -> finance_scheduler.Order:
    """Read the body; limits above the most are cut to it."""
    given = Body(values)
    limits = settings.FINANCE_RECONCILE
    return finance_scheduler.Order(
        tenant_id=tenant_id,
        period=ordered.period(given),
        force=bool(given.boolean("force", default=True)),
        max_tenants=ordered.limit(
            given, "maxTenants", default=limits["max_tenants"], most=ordered.MOST_TENANTS
        ),
        max_periods_per_tenant=ordered.limit(
            given, "maxPeriodsPerTenant", "maxPeriods", default=limits["max_periods_per_tenant"],
            most=ordered.MOST_PERIODS, told="maxPeriodsPerTenant",
        ),
    )  # fmt: skip
