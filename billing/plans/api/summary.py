"""GET /ops/finance/billing/summary"""

from django.http import HttpResponse

from billing.plans import estimate, queries
from billing.plans.api import schemas
from settld.api import openapi
from settld.api.fields import Body, period
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import clock, transactions
from settld.metering import queries as metering

BAD_PERIOD = "invalid period"


class BillingSummary(OpsView):
    """GET /ops/finance/billing/summary"""

    scopes = {"GET": ("finance_read",)}

    @openapi.describe(
        "Show a month's use, what it will cost, and what the hard limit leaves",
        description="Volume in other currencies than USD stands apart in `usage.unbilledVolumeByCurrency`"
        " and is not billed.",
        answers={200: schemas.SUMMARY},
        parameters=[openapi.query("period", description="YYYY-MM; default: the current month")],
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        given = Body(request.GET.dict(), message=BAD_PERIOD)
        month = period(given.text("period", default=clock.period_of(request.received_at)), message=BAD_PERIOD)
        with transactions.snapshot():
            config = queries.config(tenant_id=request.tenant_id)
            usage = metering.usage(tenant_id=request.tenant_id, period=month)
        plan = config.resolved
        return Json(
            {
                "tenantId": request.tenant_id,
                "period": month,
                "plan": config.resolved_json(),
                "usage": estimate.usage_json(usage),
                "estimate": estimate.price(plan, usage).as_json(),
                "enforcement": estimate.enforcement_json(plan, usage, is_enforced=config.hard_limit_enforced),
            }
        )
