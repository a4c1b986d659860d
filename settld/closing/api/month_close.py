"""/ops/month-close and /ops/month-close/reopen"""

from django.conf import settings
from django.http import HttpResponse

from settld.api import openapi
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.artifacts import queries as artifacts
from settld.closing import identifiers
from settld.closing.api import shapes
from settld.closing.services import months
from settld.core.errors import Invalid
from settld.idempotency.http import idempotent

BASIS = "settledAt"
MONTH_IN = {"type": "string", "pattern": r"^\d{4}-(0[1-9]|1[0-2])$"}


class MonthCloseView(OpsView):
    """POST and GET /ops/month-close"""

    scopes = {"POST": ("finance_write",), "GET": ("finance_read",)}
    requires_protocol = True

    @openapi.describe(
        "Ask for a month's close",
        description="202 with the event while a worker has it; 200 with the month once it is closed.",
        body=openapi.obj({"month": MONTH_IN, "basis": openapi.one_of(BASIS)}, optional=("basis",)),
        answers={
            202: openapi.obj({"event": shapes.EVENT}),
            200: openapi.obj({"monthClose": shapes.MONTH}),
        },
        refusals=(409,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: OpsRequest) -> HttpResponse:
        given = Body(request.body_json)
        asked = months.request_close(
            tenant_id=request.tenant_id,
            month=month_of(given),
            basis=basis_of(given),
            actor=request.actor,
            now=request.received_at,
            requires_ended_period=settings.MONTH_CLOSE_REQUIRE_ENDED_PERIOD,
        )
        if asked.event is None:
            return Json({"monthClose": shapes.month_json(asked.month)})
        return Json({"event": asked.event.as_json()}, status=202)

    @openapi.describe(
        "Read a month and its statement",
        answers={
            200: openapi.obj({"monthClose": shapes.MONTH, "statementArtifact": shapes.NULLABLE_ARTIFACT})
        },
        parameters=[openapi.query("month", MONTH_IN, required=True), openapi.query("basis")],
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        given = Body(request.GET.dict())
        row = months.get(tenant_id=request.tenant_id, month=month_of(given), basis=basis_of(given))
        artifact = artifacts.find(tenant_id=request.tenant_id, artifact_id=row.statement_artifact_id)
        return Json(
            {
                "monthClose": shapes.month_json(row),
                "statementArtifact": artifact.document if artifact else None,
            }
        )


class MonthReopen(OpsView):
    """POST /ops/month-close/reopen"""

    scopes = {"POST": ("finance_write",)}
    requires_protocol = True

    @openapi.describe(
        "Open a closed month again",
        description="The month's statements become OPEN; operations that were made stay as they are.",
        body=openapi.obj(
            {
                "month": MONTH_IN,
                "basis": openapi.one_of(BASIS),
                "reason": {"type": "string", "maxLength": 1000},
            },
            optional=("basis",),
        ),
        answers={201: openapi.obj({"event": shapes.EVENT})},
        refusals=(409,),
        idempotent=True,
    )
    @idempotent
    def post(self, request: OpsRequest) -> HttpResponse:
        given = Body(request.body_json)
        event = months.reopen(
            tenant_id=request.tenant_id,
            month=month_of(given),
            basis=basis_of(given),
            reason=given.required_text("reason", most=1000),
            actor=request.actor,
            now=request.received_at,
        )
        return Json({"event": event.as_json()}, status=201)


def month_of(given: Body) -> str:
    """Read the month that a call is about."""
    return identifiers.month_of(given.required_text("month"), message="month must match YYYY-MM")


def basis_of(given: Body) -> str:
    """Read the basis; there is one."""
    basis = given.text("basis", default=BASIS)
    if basis != BASIS:
        raise Invalid(f"basis must be {BASIS}")
    return BASIS
