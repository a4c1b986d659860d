"""POST /runs/{runId}/settlement/resolve"""

from django.http import HttpResponse

from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import failpoints
from settld.idempotency.http import idempotent
from settld.kernel import identifiers
from settld.kernel.api import access, shapes
from settld.kernel.services import dispute_words, resolution, resolving

MOST_REASON = 500


class ResolveSettlement(OpsView):
    """POST /runs/{runId}/settlement/resolve"""

    scopes = {"POST": access.WRITE}

    @openapi.describe(
        "Resolve a settlement that waits for a person",
        description="`refunded` gives everything back and ignores rate and amounts. `released` without any"
        " releases everything; a rate takes whole cents, rounded down; a missing amount follows from the"
        " other.",
        body=openapi.obj(
            {
                "status": openapi.one_of("released", "refunded"),
                "releaseRatePct": openapi.maybe(shapes.RATE),
                "releasedAmountCents": openapi.maybe(openapi.CENTS),
                "refundedAmountCents": openapi.maybe(openapi.CENTS),
                "reason": openapi.maybe(openapi.TEXT),
                "resolvedByAgentId": openapi.maybe(openapi.TEXT),
                "resolutionEventId": openapi.maybe(openapi.TEXT),
            },
            optional=(
                "releaseRatePct", "releasedAmountCents", "refundedAmountCents", "reason",
                "resolvedByAgentId", "resolutionEventId",
            ),
        ),
        answers={200: openapi.obj({"settlement": shapes.SETTLEMENT})},
        refusals=(409,),
        idempotent=True,
    )  # fmt: skip
    def post(self, request: OpsRequest, run_id: str) -> HttpResponse:
        response: HttpResponse = self._post(request, run_id=run_id)
        failpoints.hit("kernel.resolve.after_commit")
        return response

    @idempotent
    def _post(self, request: OpsRequest, *, run_id: str) -> HttpResponse:
        given = request.body_json
        event_id = given.get("resolutionEventId")
        done = resolving.resolve(
            tenant_id=request.tenant_id,
            run_id=run_id,
            asked=resolution.asked_of(given),
            reason=Body(given).text("reason", most=MOST_REASON),
            resolved_by_agent_id=dispute_words.agent_id(
                given.get("resolvedByAgentId"), key="resolvedByAgentId"
            ),
            resolution_event_id=None
            if event_id in (None, "")
            else identifiers.common_id_of(event_id, key="resolutionEventId"),
            actor=request.actor,
            now=request.received_at,
        )
        return Json({"settlement": done.settlement})
