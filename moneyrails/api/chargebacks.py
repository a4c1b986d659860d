"""Routes about what parties owe after reversals: the exposure, and taking an amount off it (spec 2.4, 4)."""

from typing import Any

from django.http import HttpResponse

from moneyrails.models import ChargebackEntry, Operation
from moneyrails.queries import chargeback_exposure
from moneyrails.queries.chargeback_exposure import PartyExposure, Selection
from moneyrails.rails import providers
from moneyrails.services import adjustments
from settld.api import openapi, paging
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import clock, failpoints, money
from settld.core.errors import Invalid
from settld.idempotency.http import idempotent

BAD_QUERY = "invalid chargeback query"
BAD_BODY = "invalid chargeback adjustment"
NOTE_MOST = 2000
# Sums of many amounts, each of which fits: one that no longer does is written as a text of digits.
SUM = {"description": "minor units; a text of digits beyond 2^53-1", "oneOf": [openapi.INT, openapi.TEXT]}

PARTY = openapi.obj(
    {
        "partyId": openapi.TEXT,
        "outstandingCents": SUM,
        "totalReversedAmountCents": SUM,
        "totalRecoveredCents": SUM,
        "totalAdjustedCents": SUM,
        "reversedCount": openapi.INT,
        "recoveryCount": openapi.INT,
        "latestReversedAt": openapi.INSTANT,
        "status": openapi.one_of("negative_balance", "clear"),
    }
)
EXPOSURE = openapi.obj(
    {
        "tenantId": openapi.TEXT,
        "providerId": openapi.TEXT,
        "period": openapi.maybe(openapi.TEXT),
        "partyId": openapi.maybe(openapi.TEXT),
        "summary": openapi.obj(
            {
                "partyCount": openapi.INT,
                "totalOutstandingCents": SUM,
                "totalReversedAmountCents": SUM,
                "totalRecoveredCents": SUM,
            }
        ),
        "parties": openapi.many(PARTY),
    }
)
ADJUSTMENT = openapi.obj(
    {
        "schemaVersion": openapi.one_of("MoneyRailChargebackAdjustment.v1"),
        "adjustmentId": openapi.TEXT,
        "tenantId": openapi.TEXT,
        "partyId": openapi.TEXT,
        "providerId": openapi.TEXT,
        "operationId": openapi.TEXT,
        "currency": openapi.TEXT,
        "providerMode": openapi.one_of("sandbox", "production"),
        "amountCents": openapi.CENTS,
        "reasonCode": openapi.TEXT,
        "note": openapi.maybe(openapi.TEXT),
        "reversalOpenAfterCents": openapi.CENTS,
        "recordedBy": openapi.TEXT,
        "at": openapi.INSTANT,
    }
)


class ChargebackExposure(OpsView):
    """GET /ops/finance/money-rails/chargebacks"""

    scopes = {"GET": ("finance_read",)}

    @openapi.describe(
        "Show what parties owe after reversals",
        description=(
            "Parties with a reversal at the provider, by party id. Both filters select reversals, by the"
            " provider and the payout period of the reversed operation; recovered and adjusted amounts"
            " follow the reversal that they repay. The summary covers every party, whatever the page."
        ),
        answers={200: EXPOSURE},
        parameters=[
            openapi.query("providerId", description="default: the deployment's default provider"),
            openapi.query("partyId"),
            openapi.query("period", description="YYYY-MM"),
            *openapi.PAGE,
        ],
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        page = paging.read(request)
        given = Body(request.GET.dict(), message=BAD_QUERY)
        period = given.text("period", most=20)
        if period is not None and not clock.is_period(period):
            raise Invalid(BAD_QUERY, details={"message": "period must match YYYY-MM"})
        selection = Selection(
            tenant_id=request.tenant_id,
            provider_id=given.text("providerId", most=200) or providers.default_id(),
            party_id=given.text("partyId", most=200),
            period=period,
        )
        found = chargeback_exposure.exposure(selection, limit=page.limit, offset=page.offset)
        if not found.summary.party_count:
            providers.by_path(selection.provider_id)  # debts outlive a provider's configuration, typos do not
        return Json(
            {
                "tenantId": selection.tenant_id,
                "providerId": selection.provider_id,
                "period": selection.period,
                "partyId": selection.party_id,
                "summary": {
                    "partyCount": found.summary.party_count,
                    "totalOutstandingCents": money.exact(found.summary.outstanding_cents),
                    "totalReversedAmountCents": money.exact(found.summary.reversed_cents),
                    "totalRecoveredCents": money.exact(found.summary.recovered_cents),
                },
                "parties": [party_json(party) for party in found.parties],
            }
        )


class AdjustChargeback(OpsView):
    """POST /ops/finance/money-rails/chargebacks/adjustments"""

    scopes = {"POST": ("finance_write",)}

    @openapi.describe(
        "Take an amount off what a party owes for one reversal",
        description=(
            "An operator's decision: a dispute was won, or the debt was paid otherwise. At most what the"
            " reversal still has open; the operation itself stays reversed."
        ),
        body=openapi.obj(
            {
                "partyId": openapi.TEXT,
                "operationId": openapi.TEXT,
                "amountCents": openapi.CENTS,
                "reasonCode": openapi.TEXT,
                "note": openapi.maybe(openapi.TEXT),
            },
            optional=("note",),
        ),
        answers={201: openapi.obj({"adjustment": ADJUSTMENT, "outstandingAfterCents": SUM})},
        refusals=(409,),
        idempotent=True,
    )
    def post(self, request: OpsRequest) -> HttpResponse:
        _read(request)
        response: HttpResponse = self._post(request)
        failpoints.hit("adjust.after_commit")
        return response

    @idempotent
    def _post(self, request: OpsRequest) -> HttpResponse:
        wanted = _read(request)
        done = adjustments.adjust(
            tenant_id=request.tenant_id, **wanted, actor=request.actor, now=request.received_at
        )
        shown = adjustment_json(done.entry, open_after_cents=done.open_after_cents)
        answer = {"adjustment": shown, "outstandingAfterCents": money.exact(done.outstanding_after_cents)}
        return Json(answer, status=201)


def _read(request: OpsRequest) -> dict[str, Any]:
    """Read an adjustment's body; raises Invalid."""
    body = Body(request.body_json, message=BAD_BODY)
    amount_cents = body.integer("amountCents", least=1)
    if amount_cents is None:
        raise body.fault("amountCents is required")
    return {
        "party_id": body.required_text("partyId", most=200),
        "operation_id": body.required_text("operationId", most=900),
        "amount_cents": amount_cents,
        "reason_code": body.required_text("reasonCode", most=200),
        "note": body.text("note", most=NOTE_MOST) or "",
    }


def party_json(party: PartyExposure) -> dict[str, Any]:
    """Shape one party's row."""
    return {
        "partyId": party.party_id,
        "outstandingCents": money.exact(party.outstanding_cents),
        "totalReversedAmountCents": money.exact(party.reversed_cents),
        "totalRecoveredCents": money.exact(party.recovered_cents),
        "totalAdjustedCents": money.exact(party.adjusted_cents),
        "reversedCount": party.reversed_count,
        "recoveryCount": party.recovery_count,
        "latestReversedAt": clock.iso(party.latest_reversed_at),
        "status": party.status,
    }


def adjustment_json(entry: ChargebackEntry, *, open_after_cents: int) -> dict[str, Any]:
    """Shape an adjustment (`MoneyRailChargebackAdjustment.v1`)."""
    operation: Operation | None = entry.operation
    return {
        "schemaVersion": "MoneyRailChargebackAdjustment.v1",
        "adjustmentId": str(entry.pk),
        "tenantId": entry.tenant_id,
        "partyId": entry.party_id,
        "providerId": operation.provider_id if operation else None,
        "operationId": operation.operation_id if operation else None,
        "currency": entry.currency,
        "providerMode": entry.provider_mode,
        "amountCents": entry.amount_cents,
        "reasonCode": entry.reason_code,
        "note": entry.note or None,
        "reversalOpenAfterCents": open_after_cents,
        "recordedBy": entry.recorded_by,
        "at": clock.iso(entry.at),
    }
