"""Writing runs: POST on /agents/{agentId}/runs and on /agents/{agentId}/runs/{runId}/events"""

from typing import Any, Final

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter

from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.core import failpoints
from settld.core.errors import Refusal
from settld.idempotency.http import idempotent
from settld.kernel import folding, identifiers, wire
from settld.kernel.api import access, runs, shapes
from settld.kernel.services import run_events
from settld.kernel.services import runs as opening
from settld.kernel.services.run_events import Appended
from settld.kernel.states import RunEventType

EXPECTED_HEAD: Final = "x-proxy-expected-prev-chain-hash"
TERMS: Final = openapi.obj(
    {
        "payerAgentId": openapi.TEXT,
        "amountCents": shapes.AMOUNT,
        "currency": openapi.maybe(shapes.CURRENCY),
        "disputeWindowDays": openapi.maybe(
            {"type": "integer", "minimum": 0, "maximum": opening.MOST_WINDOW_DAYS, "default": 0}
        ),
    },
    optional=("currency", "disputeWindowDays"),
)
APPENDABLE: Final = [kind for kind in RunEventType.values if kind != RunEventType.RUN_CREATED]


class MissingPrecondition(Refusal):
    """Whoever appends has to say after what."""

    status = 428
    code = "MISSING_PRECONDITION"
    message = "missing precondition"


class AgentRuns(runs.AgentRuns):
    """GET and POST /agents/{agentId}/runs"""

    scopes = {"GET": access.READ, "POST": access.WRITE}

    @openapi.describe(
        "Open a run, and lock the money it is worth",
        description="With `settlement` the payer's money is locked in the same transaction, or nothing is"
        " opened at all.",
        body=openapi.obj(
            {
                "runId": openapi.maybe(openapi.TEXT),
                "taskType": openapi.maybe(openapi.TEXT),
                "inputRef": openapi.maybe(openapi.TEXT),
                "settlement": openapi.maybe(TERMS),
            },
            optional=("runId", "taskType", "inputRef", "settlement"),
        ),
        answers={
            201: openapi.obj(
                {
                    "run": shapes.RUN,
                    "event": shapes.EVENT,
                    "settlement": openapi.maybe(shapes.SETTLEMENT),
                }
            )
        },
        refusals=(409,),
        idempotent=True,
    )
    def post(self, request: OpsRequest, agent_id: str) -> HttpResponse:
        response: HttpResponse = self._post(request, agent_id=agent_id)
        failpoints.hit("kernel.open_run.after_commit")
        return response

    @idempotent
    def _post(self, request: OpsRequest, *, agent_id: str) -> HttpResponse:
        given = Body(request.body_json)
        run_id = request.body_json.get("runId")
        opened = opening.open_run(
            tenant_id=request.tenant_id,
            agent_id=agent_id,
            run_id=None if run_id in (None, "") else identifiers.run_id_of(run_id),
            task_type=given.text("taskType", most=opening.MOST_TASK_TYPE),
            input_ref=given.text("inputRef", most=opening.MOST_INPUT_REF),
            terms=opening.terms_of(request.body_json.get("settlement")),
            now=request.received_at,
        )
        return Json(
            {
                "run": opened.run,
                "event": wire.served_event(opened.event, tenant_id=request.tenant_id),
                "settlement": None if opened.settlement is None else wire.settlement_json(opened.settlement),
            },
            status=201,
        )


def expected_head(request: OpsRequest) -> str | None:
    """Read after which event a caller appends; "" and null are before the first.

    The event's type comes first: an unknown one is refused whatever else is wrong. Raises
    UnsupportedEventType, MissingPrecondition.
    """
    folding.appendable_type(request.body_json.get("type"))
    head = request.headers.get(EXPECTED_HEAD)
    if head is None:
        raise MissingPrecondition(details={"header": EXPECTED_HEAD})
    head = head.strip()
    return None if head in ("", "null") else head


class AgentRunEvents(runs.AgentRunEvents):
    """GET and POST /agents/{agentId}/runs/{runId}/events"""

    scopes = {"GET": access.READ, "POST": access.WRITE}

    @openapi.describe(
        "Append an event to a run; the last one settles its money",
        description="The header names the chain hash of the run's last event; another head is refused, and so"
        " of two appends at once one wins.",
        body=openapi.obj(
            {
                "type": openapi.one_of(*APPENDABLE),
                "actor": openapi.maybe(openapi.obj({"type": openapi.TEXT, "id": openapi.TEXT})),
                "payload": openapi.maybe(openapi.OBJECT),
            },
            optional=("actor", "payload"),
        ),
        answers={
            201: openapi.obj(
                {
                    "event": shapes.EVENT,
                    "run": shapes.RUN,
                    "settlement": openapi.maybe(shapes.SETTLEMENT),
                    "decisionRecord": openapi.maybe(shapes.DECISION_RECORD),
                    "settlementReceipt": openapi.maybe(shapes.SETTLEMENT_RECEIPT),
                    "kernelVerification": openapi.maybe(shapes.KERNEL_VERIFICATION),
                }
            )
        },
        refusals=(402, 409, 428),
        parameters=[
            OpenApiParameter(
                EXPECTED_HEAD,
                location="header",
                required=True,
                description="chain hash of the run's last event; empty or null before the first",
            )
        ],
        idempotent=True,
    )
    def post(self, request: OpsRequest, agent_id: str, run_id: str) -> HttpResponse:
        response: HttpResponse = self._post(request, agent_id=agent_id, run_id=run_id)
        failpoints.hit("kernel.append_event.after_commit")
        return response

    @idempotent(chain_head=expected_head)
    def _post(self, request: OpsRequest, *, agent_id: str, run_id: str) -> HttpResponse:
        given = request.body_json
        appended = run_events.append(
            tenant_id=request.tenant_id,
            agent_id=agent_id,
            run_id=run_id,
            event_type=folding.appendable_type(given.get("type")),
            payload=given.get("payload"),
            actor=given.get("actor"),
            expected_prev_chain_hash=expected_head(request),
            now=request.received_at,
        )
        return Json(_appended_json(appended, tenant_id=request.tenant_id), status=201)


def _appended_json(appended: Appended, *, tenant_id: str) -> dict[str, Any]:
    """Shape the reply; all about money is null for a run without a settlement."""
    money = dict.fromkeys(shapes.SETTLED) if appended.settled is None else appended.settled.as_json()
    return {
        "event": wire.served_event(appended.event, tenant_id=tenant_id),
        "run": appended.run,
        **money,
    }
