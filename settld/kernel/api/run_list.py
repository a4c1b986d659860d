"""GET /runs: the runs of all agents, for the pages"""

from django.http import HttpResponse

from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import transactions
from settld.kernel import wire
from settld.kernel.api import access, paging, shapes
from settld.kernel.queries import runs
from settld.kernel.states import RunStatus


class AllRuns(OpsView):
    """GET /runs"""

    scopes = {"GET": access.READ}

    @openapi.describe(
        "List the runs of all agents",
        description="An extension. Newest first; an agent that is not there has none.",
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
        parameters=[
            openapi.query("status", shapes.RUN_STATUS),
            openapi.query("agentId"),
            *paging.parameters(),
        ],
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        page = paging.read(request)
        given = Body(request.GET.dict())
        found = runs.listing(
            tenant_id=request.tenant_id,
            agent_id=given.text("agentId"),
            status=given.choice("status", tuple(RunStatus.values)),
        )
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
