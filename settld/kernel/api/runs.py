"""Runs: /agents/{agentId}/runs and below, /runs/{runId}/verification"""

from django.http import HttpResponse

from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import transactions
from settld.kernel import wire
from settld.kernel.api import access, paging, shapes
from settld.kernel.queries import agents, runs, settlements
from settld.kernel.states import RunStatus
from settld.kernel.verification import verification_of


class AgentRuns(OpsView):
    """GET /agents/{agentId}/runs"""

    scopes = {"GET": access.READ}

    @openapi.describe(
        "List an agent's runs",
        description="Newest first. `total` is how many match, whatever the page.",
        answers={
            200: openapi.obj(
                {
                    "runs": openapi.many(shapes.RUN),
                    "total": openapi.INT,
                    "limit": openapi.INT,
                    "offset": openapi.INT,
                }
            )
        },
        parameters=[openapi.query("status", shapes.RUN_STATUS), *paging.parameters()],
    )
    def get(self, request: OpsRequest, agent_id: str) -> HttpResponse:
        page = paging.read(request)
        status = Body(request.GET.dict()).choice("status", tuple(RunStatus.values))
        agents.get(tenant_id=request.tenant_id, agent_id=agent_id)
        found = runs.listing(tenant_id=request.tenant_id, agent_id=agent_id, status=status)
        with transactions.snapshot():
            total, rows = found.count(), list(found[page.window])
        return Json(
            {
                "runs": [wire.run_json(row) for row in rows],
                "total": total,
                "limit": page.limit,
                "offset": page.offset,
            }
        )


class AgentRunDetail(OpsView):
    """GET /agents/{agentId}/runs/{runId}"""

    scopes = {"GET": access.READ}

    @openapi.describe(
        "Read a run",
        answers={
            200: openapi.obj(
                {
                    "run": shapes.RUN,
                    "verification": shapes.VERIFICATION,
                    "settlement": openapi.maybe(shapes.SETTLEMENT),
                }
            )
        },
    )
    def get(self, request: OpsRequest, agent_id: str, run_id: str) -> HttpResponse:
        tenant_id = request.tenant_id
        agents.get(tenant_id=tenant_id, agent_id=agent_id)
        with transactions.snapshot():
            run = wire.run_json(runs.get(tenant_id=tenant_id, run_id=run_id, agent_id=agent_id))
            settlement = settlements.find(tenant_id=tenant_id, run_id=run_id)
        return Json(
            {
                "run": run,
                "verification": verification_of(run),
                "settlement": None if settlement is None else wire.settlement_json(settlement),
            }
        )


class AgentRunEvents(OpsView):
    """GET /agents/{agentId}/runs/{runId}/events"""

    scopes = {"GET": access.READ}

    @openapi.describe(
        "List a run's events",
        description="All of them, in order.",
        answers={200: openapi.obj({"events": openapi.many(shapes.EVENT)})},
    )
    def get(self, request: OpsRequest, agent_id: str, run_id: str) -> HttpResponse:
        agents.get(tenant_id=request.tenant_id, agent_id=agent_id)
        runs.get(tenant_id=request.tenant_id, run_id=run_id, agent_id=agent_id)
        events = runs.events(tenant_id=request.tenant_id, run_id=run_id)
        return Json({"events": [wire.event_json(event) for event in events]})


class RunVerification(OpsView):
    """GET /runs/{runId}/verification"""

    scopes = {"GET": access.READ}

    @openapi.describe(
        "Read what a run's outcome says about its quality",
        answers={
            200: openapi.obj(
                {
                    "runId": openapi.TEXT,
                    "agentId": openapi.TEXT,
                    "runStatus": shapes.RUN_STATUS,
                    "verification": shapes.VERIFICATION,
                }
            )
        },
    )
    def get(self, request: OpsRequest, run_id: str) -> HttpResponse:
        run = wire.run_json(runs.get(tenant_id=request.tenant_id, run_id=run_id))
        return Json(
            {
                "runId": run["runId"],
                "agentId": run["agentId"],
                "runStatus": run["status"],
                "verification": verification_of(run),
            }
        )
