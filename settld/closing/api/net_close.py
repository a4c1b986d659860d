"""/ops/finance/net-close"""

from typing import Any

from django.http import HttpResponse

from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.artifacts.models import Artifact
from settld.closing.api.finance import PERIOD, PERIODS, period_asked, period_in
from settld.closing.services import net_close
from settld.closing.services.net_close import NetClose
from settld.core import transactions
from settld.core.errors import Forbidden, Invalid
from settld.idempotency.http import idempotent

NO_DELIVERIES = 0
SWITCH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}
FOUND = {
    "ok": openapi.BOOL,
    "tenantId": openapi.TEXT,
    "period": openapi.TEXT,
    "basis": openapi.TEXT,
    "status": openapi.one_of("pass", "fail"),
    "mismatchCodes": openapi.many(openapi.TEXT),
    "snapshot": openapi.OBJECT,
    "evidence": openapi.OBJECT,
    "artifact": openapi.maybe(
        openapi.obj(
            {"artifactId": openapi.TEXT, "artifactHash": openapi.TEXT, "deliveriesCreated": openapi.INT}
        )
    ),
}


class NetCloseLook(OpsView):
    """GET /ops/finance/net-close"""

    scopes = {"GET": ("finance_read",)}

    @openapi.describe(
        "Compare a closed month's escrow with what was held",
        description="`persist` also keeps the snapshot; it needs finance_write.",
        answers={200: openapi.obj(FOUND)},
        refusals=(409,),
        parameters=[*PERIODS, openapi.query("persist", openapi.one_of(*filter(None, SWITCH)))],
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        asked = request.GET.get("persist", "").strip().lower()
        if asked not in SWITCH:
            raise Invalid("persist must be true or false")
        if SWITCH[asked] and not request.principal.has("finance_write"):
            raise Forbidden("missing_scope")
        period = period_asked(request)
        if not SWITCH[asked]:
            with transactions.snapshot():
                found = net_close.examine(tenant_id=request.tenant_id, period=period)
            return Json(_shaped(found, None))
        with transactions.atomic():
            found = net_close.examine(tenant_id=request.tenant_id, period=period)
            artifact = net_close.persist(found, now=request.received_at)
        return Json(_shaped(found, artifact))


class NetCloseExecute(OpsView):
    """POST /ops/finance/net-close/execute"""

    scopes = {"POST": ("finance_write",)}

    @openapi.describe(
        "Declare a closed month's escrow settled",
        body=openapi.obj(
            {"period": PERIOD, "month": PERIOD, "dryRun": openapi.BOOL},
            optional=("period", "month", "dryRun"),
        ),
        answers={200: openapi.obj({**FOUND, "executed": openapi.BOOL, "dryRun": openapi.BOOL})},
        refusals=(409,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: OpsRequest) -> HttpResponse:
        given = Body(request.body_json)
        is_dry_run = bool(given.boolean("dryRun", default=False))
        found, artifact = net_close.execute(
            tenant_id=request.tenant_id,
            period=period_in(given),
            is_dry_run=is_dry_run,
            actor=request.actor,
            now=request.received_at,
        )
        return Json(_shaped(found, artifact) | {"executed": not is_dry_run, "dryRun": is_dry_run})


def _shaped(found: NetClose, artifact: Artifact | None) -> dict[str, Any]:
    return {
        "ok": True,
        "tenantId": found.month.tenant_id,
        "period": found.month.month,
        "basis": found.month.basis,
        "status": "fail" if found.mismatch_codes else "pass",
        "mismatchCodes": found.mismatch_codes,
        "snapshot": found.snapshot,
        "evidence": found.evidence,
        "artifact": {
            "artifactId": artifact.artifact_id,
            "artifactHash": artifact.artifact_hash,
            "deliveriesCreated": NO_DELIVERIES,
        }
        if artifact
        else None,
    }
