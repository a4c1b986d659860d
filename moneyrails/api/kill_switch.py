"""/ops/money-rails/kill-switch: stopping all payouts without sending the other controls along."""

from typing import Any, ClassVar

from django.http import HttpResponse

from moneyrails.models import MoneyRailControls
from moneyrails.services import approval_wire, controls, stops
from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import failpoints
from settld.idempotency.http import idempotent

STOP = openapi.obj(
    {
        "payoutKillSwitch": openapi.BOOL,
        "payoutKillSwitchReason": openapi.maybe(openapi.TEXT),
        "payoutKillSwitchExpiresAt": openapi.maybe(openapi.INSTANT),
        "payoutKillSwitchSetBy": openapi.maybe(openapi.TEXT),
        "payoutKillSwitchSetAt": openapi.maybe(openapi.INSTANT),
    }
)
ANSWER = openapi.obj({"ok": openapi.BOOL, "tenantId": openapi.TEXT, "stop": STOP})


class Stop(OpsView):
    """POST /ops/money-rails/kill-switch"""

    scopes: ClassVar = {"POST": ("finance_write",)}

    @openapi.describe(
        "Stop all payouts at once, in every mode; the other controls stay as they are",
        body=openapi.obj(
            {"reason": openapi.TEXT, "expiresAt": openapi.maybe(openapi.INSTANT)}, optional=("expiresAt",)
        ),
        answers={200: ANSWER},
        idempotent=True,
    )
    def post(self, request: OpsRequest) -> HttpResponse:
        response: HttpResponse = self._post(request)
        failpoints.hit("stop.after_commit")
        return response

    @idempotent
    def _post(self, request: OpsRequest) -> HttpResponse:
        body = Body(request.body_json)
        row = stops.stop(
            tenant_id=request.tenant_id,
            reason=body.required_text("reason"),
            expires_at=body.instant("expiresAt"),
            actor=request.actor,
            now=request.received_at,
        )
        return Json(_shown(row))


class Lift(OpsView):
    """POST /ops/money-rails/kill-switch/lift"""

    scopes: ClassVar = {"POST": ("finance_write",)}

    @openapi.describe(
        "Let payouts go again; with four eyes on it waits for a second person (202)",
        body=openapi.obj({"reason": openapi.TEXT}),
        answers={200: ANSWER, 202: approval_wire.PENDING},
        refusals=(409,),
        idempotent=True,
    )
    def post(self, request: OpsRequest) -> HttpResponse:
        response: HttpResponse = self._post(request)
        failpoints.hit("lift.after_commit")
        return response

    @idempotent
    def _post(self, request: OpsRequest) -> HttpResponse:
        waiting = stops.lift(
            tenant_id=request.tenant_id,
            reason=Body(request.body_json).required_text("reason"),
            actor=request.actor,
            now=request.received_at,
        )
        if waiting is not None:
            return approval_wire.pending(waiting, now=request.received_at)
        return Json(_shown(controls.get(tenant_id=request.tenant_id)))


def _shown(row: MoneyRailControls) -> dict[str, Any]:
    return {"ok": True, "tenantId": row.tenant_id, "stop": stops.facts(row)}
