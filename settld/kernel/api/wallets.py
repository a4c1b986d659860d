"""Wallets: /agents/{agentId}/wallet and its credit"""

from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse

from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import failpoints
from settld.idempotency.http import idempotent
from settld.kernel import identifiers, wire
from settld.kernel.api import access, shapes
from settld.kernel.services import funding, wallets
from settld.kernel.states import FundingSource


class AgentWallet(OpsView):
    """GET /agents/{agentId}/wallet"""

    scopes = {"GET": access.READ}

    @openapi.describe(
        "Read an agent's wallet",
        description="An agent that no money has touched yet has zeros, revision 0 and no instants.",
        answers={200: openapi.obj({"wallet": shapes.WALLET})},
    )
    def get(self, request: OpsRequest, agent_id: str) -> HttpResponse:
        return Json({"wallet": wallets.get_view(tenant_id=request.tenant_id, agent_id=agent_id)})


@dataclass(frozen=True, slots=True)
class _Credit:
    """What came in."""

    amount_cents: int
    currency: str
    source_type: FundingSource
    external_ref: str | None


class CreditWallet(OpsView):
    """POST /agents/{agentId}/wallet/credit"""

    scopes = {"POST": access.WRITE}

    @openapi.describe(
        "Credit a wallet with money that came in",
        description=(
            "The first credit makes the wallet, in its currency; it has no other from then on. A reference"
            " from outside is credited once per source."
        ),
        body=openapi.obj(
            {
                "amountCents": shapes.AMOUNT,
                "currency": shapes.CURRENCY,
                "externalRef": openapi.maybe(openapi.TEXT),
                "sourceType": openapi.one_of(*FundingSource.values),
            },
            optional=("currency", "externalRef", "sourceType"),
        ),
        answers={201: openapi.obj({"wallet": shapes.WALLET, "fundingReceipt": shapes.FUNDING_RECEIPT})},
        refusals=(409,),
        idempotent=True,
    )
    def post(self, request: OpsRequest, agent_id: str) -> HttpResponse:
        wanted = _read(request.body_json)
        response: HttpResponse = self._post(request, agent_id=agent_id, wanted=wanted)
        failpoints.hit("kernel.fund.after_commit")
        return response

    @idempotent
    def _post(self, request: OpsRequest, *, agent_id: str, wanted: _Credit) -> HttpResponse:
        done = funding.credit(
            tenant_id=request.tenant_id,
            agent_id=agent_id,
            amount_cents=wanted.amount_cents,
            currency=wanted.currency,
            source_type=wanted.source_type,
            external_ref=wanted.external_ref,
            actor=request.actor,
            now=request.received_at,
        )
        return Json(
            {
                "wallet": wire.wallet_json(done.wallet),
                "fundingReceipt": wire.funding_receipt_json(done.receipt),
            },
            status=201,
        )


def _read(values: dict[str, Any]) -> _Credit:
    body = Body(values)
    return _Credit(
        amount_cents=identifiers.cents_of(values.get("amountCents")),
        currency=identifiers.currency_of(values.get("currency")),
        source_type=FundingSource(
            body.choice("sourceType", tuple(FundingSource.values)) or FundingSource.MANUAL
        ),
        external_ref=body.text("externalRef"),
    )
