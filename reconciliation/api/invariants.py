"""GET /ops/finance/invariants"""

from typing import ClassVar

from reconciliation.api import schemas
from reconciliation.queries import invariants
from settld.api.openapi import describe
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import clock


class Invariants(OpsView):
    """Tell what must always be true of the tenant's money, and whether it is."""

    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"GET": ("finance_read",)}

    @describe(
        "List the tenant's invariants with the last look at each",
        description="`fail`: a case is open and, where stopsPayouts, payouts were stopped. `error`: it could"
        " not be looked at. The monitor looks about once a minute.",
        answers={200: schemas.INVARIANTS},
    )
    def get(self, request: OpsRequest) -> Json:
        """List them all; nothing is looked at anew."""
        found = invariants.standings(tenant_id=request.tenant_id)
        looks = [one.check.checked_at for one in found if one.check is not None]
        return Json(
            {
                "tenantId": request.tenant_id,
                "status": invariants.overall(found),
                "lastRunAt": clock.iso(max(looks)) if looks else None,
                "invariants": [one.as_json() for one in found],
            }
        )
