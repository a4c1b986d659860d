"""Corrections: /ops/settlement-adjustments/{adjustmentId}"""

from django.http import HttpResponse

from settld.api import openapi
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.kernel import wire
from settld.kernel.api import access, shapes
from settld.kernel.queries import adjustments


class SettlementAdjustment(OpsView):
    """GET /ops/settlement-adjustments/{adjustmentId}"""

    scopes = {"GET": access.OPS_READ}

    @openapi.describe(
        "Read a correction of settled money, of any kind",
        answers={
            200: openapi.obj({"ok": openapi.BOOL, "tenantId": openapi.TEXT, "adjustment": shapes.ADJUSTMENT})
        },
    )
    def get(self, request: OpsRequest, adjustment_id: str) -> HttpResponse:
        found = adjustments.get(tenant_id=request.tenant_id, adjustment_id=adjustment_id)
        return Json({"ok": True, "tenantId": request.tenant_id, "adjustment": wire.adjustment_json(found)})
