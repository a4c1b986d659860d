"""The route that turns a closed statement into a payout."""

from typing import Any

from django.http import HttpResponse

from moneyrails.api.serializers import CHARGEBACK, OPERATION, PAYOUT, operation_json
from moneyrails.services import enqueue
from moneyrails.services.payout_request import Enqueued
from settld.api import fields, openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import failpoints
from settld.idempotency.http import idempotent

_NOTHING = {"ok": openapi.BOOL, "enqueued": openapi.BOOL, "reason": openapi.TEXT, "chargeback": CHARGEBACK}
_MADE = {"ok": openapi.BOOL, "payout": PAYOUT, "chargeback": CHARGEBACK, "moneyRailOperation": OPERATION}


class EnqueuePayout(OpsView):
    """POST /ops/payouts/{partyId}/{period}/enqueue"""

    scopes = {"POST": ("finance_write",)}

    @openapi.describe(
        "Enqueue the payout of a party's closed statement",
        body=openapi.obj(
            {
                "counterpartyRef": openapi.maybe(openapi.TEXT),
                "moneyRailProviderId": openapi.maybe(openapi.TEXT),
            },
            optional=("counterpartyRef", "moneyRailProviderId"),
        ),
        answers={201: openapi.obj(_MADE), 200: openapi.obj(_NOTHING, optional=("chargeback",))},
        refusals=(409,),
        idempotent=True,
    )
    def post(self, request: OpsRequest, party_id: str, period: str) -> HttpResponse:
        fields.period(period)
        body = Body(request.body_json)
        body.text("counterpartyRef")
        body.text("moneyRailProviderId", most=200)
        response: HttpResponse = self._post(request, party_id=party_id, period=period)
        failpoints.hit("enqueue.after_commit")
        return response

    @idempotent
    def _post(self, request: OpsRequest, party_id: str, period: str) -> HttpResponse:
        body = Body(request.body_json)
        return answer(
            enqueue.enqueue(
                tenant_id=request.tenant_id,
                party_id=party_id,
                period=period,
                provider_id=body.text("moneyRailProviderId", most=200) or "",
                counterparty_ref=body.text("counterpartyRef") or "",
                actor=request.actor,
                now=request.received_at,
            )
        )


def answer(done: Enqueued) -> Json:
    """Shape what became of a payout."""
    if done.operation is not None:
        made: dict[str, Any] = {
            "ok": True,
            "payout": done.payout,
            "chargeback": done.chargeback,
            "moneyRailOperation": operation_json(done.operation),
        }
        return Json(made, status=201)
    if done.is_offset:
        return Json(
            {
                "ok": True,
                "enqueued": False,
                "reason": "chargeback_offset_consumed",
                "chargeback": done.chargeback,
            }
        )
    return Json({"ok": True, "enqueued": False, "reason": "no_payout_due"})
