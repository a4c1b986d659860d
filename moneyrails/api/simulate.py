"""POST /ops/money-rails/simulate"""

from typing import ClassVar

from django.http import HttpResponse

from moneyrails.services import simulation
from moneyrails.services.simulation import Asked
from settld.api import fields, openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView

_OPTIONAL = ("providerId", "period", "counterpartyRef")
_GATE = openapi.obj(
    {
        "gate": openapi.INT,
        "name": openapi.TEXT,
        "verdict": openapi.one_of("passed", "refused", "not_asked"),
        "code": openapi.TEXT,
        "details": openapi.OBJECT,
    },
    optional=("code", "details"),
)
_ROOM = openapi.maybe(openapi.CENTS)
_SUM = {"description": "minor units; a text of digits beyond 2^53-1", "oneOf": [openapi.INT, openapi.TEXT]}
_ANSWER = openapi.obj(
    {
        "schemaVersion": openapi.one_of("MoneyRailSimulation.v1"),
        "tenantId": openapi.TEXT,
        "partyId": openapi.TEXT,
        "period": openapi.maybe(openapi.TEXT),
        "providerId": openapi.TEXT,
        "providerMode": openapi.TEXT,
        "amountCents": openapi.CENTS,
        "currency": openapi.TEXT,
        "evaluatedAt": openapi.INSTANT,
        "outcome": openapi.one_of("enqueued", "offset", "refused"),
        "code": openapi.maybe(openapi.TEXT),
        "gates": openapi.many(_GATE),
        "headroom": openapi.obj(
            {
                "onePayout": openapi.obj({"capCents": _ROOM, "headroomCents": _ROOM}),
                "today": openapi.obj(
                    {
                        "dayKey": openapi.TEXT,
                        "limitCents": _ROOM,
                        "exposureCents": _SUM,
                        "headroomCents": _ROOM,
                    }
                ),
                "largestPayoutNowCents": _ROOM,
            }
        ),
        "chargeback": openapi.OBJECT,
        "destination": openapi.OBJECT,
        "statement": openapi.OBJECT,
    }
)


class Simulate(OpsView):
    """POST /ops/money-rails/simulate"""

    scopes: ClassVar = {"POST": ("finance_read",)}
    makes_tenant: ClassVar = True  # by never making one: a simulation writes nothing, for nobody

    @openapi.describe(
        "Ask every gate about a payout that nobody has ordered; writes nothing and reserves nothing",
        body=openapi.obj(
            {
                "partyId": openapi.TEXT,
                "amountCents": openapi.CENTS,
                **{name: openapi.maybe(openapi.TEXT) for name in _OPTIONAL},
            },
            optional=_OPTIONAL,
        ),
        answers={200: _ANSWER},
    )
    def post(self, request: OpsRequest) -> HttpResponse:
        body = Body(request.body_json)
        amount = body.integer("amountCents", least=1)
        if amount is None:
            raise body.fault("amountCents is required")
        period = body.text("period")
        asked = Asked(
            tenant_id=request.tenant_id,
            party_id=body.required_text("partyId", most=200),
            amount_cents=amount,
            provider_id=body.text("providerId", most=200) or "",
            period=fields.period(period) if period else "",
            counterparty_ref=body.text("counterpartyRef") or "",
        )
        return Json(simulation.as_json(asked, simulation.simulate(asked, now=request.received_at)))
