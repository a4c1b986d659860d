"""GET /ops/finance/billable-events"""

from django.http import HttpResponse

from settld.api import openapi, paging
from settld.api.fields import Body, period
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import transactions
from settld.metering import queries
from settld.metering.states import SCHEMA, EventType, SourceType

TYPE = openapi.one_of(*EventType.values)
OPTIONAL = openapi.maybe(openapi.TEXT)
EVENT = openapi.obj(
    {
        "schemaVersion": openapi.one_of(SCHEMA),
        "tenantId": openapi.TEXT,
        "eventKey": openapi.TEXT,
        "eventType": TYPE,
        "period": openapi.TEXT,
        "occurredAt": openapi.INSTANT,
        "quantity": openapi.INT,
        "amountCents": openapi.maybe(openapi.CENTS),
        "currency": OPTIONAL,
        "runId": OPTIONAL,
        "settlementId": OPTIONAL,
        "disputeId": OPTIONAL,
        "arbitrationCaseId": OPTIONAL,
        "sourceType": openapi.one_of(*SourceType.values),
        "sourceId": openapi.TEXT,
        "sourceEventId": OPTIONAL,
        "audit": openapi.maybe(openapi.OBJECT),
        "eventHash": openapi.TEXT,
        "createdAt": openapi.INSTANT,
    }
)
ANSWER = openapi.obj(
    {
        "tenantId": openapi.TEXT,
        "period": OPTIONAL,
        "eventType": openapi.maybe(TYPE),
        "events": openapi.many(EVENT),
        "count": openapi.INT,
        "limit": openapi.INT,
        "offset": openapi.INT,
    }
)


class BillableEvents(OpsView):
    """GET /ops/finance/billable-events"""

    scopes = {"GET": ("finance_read",)}

    @openapi.describe(
        "List billable usage events",
        description="By time, then key. `count` is how many match, whatever the page.",
        answers={200: ANSWER},
        parameters=[
            openapi.query("period", description="YYYY-MM"),
            openapi.query("eventType", TYPE),
            *openapi.PAGE,
        ],
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        page = paging.read(request)
        given = Body(request.GET.dict())
        month = given.text("period", most=20)
        if month is not None:
            month = period(month)
        event_type = given.choice("eventType", tuple(EventType.values))
        with transactions.snapshot():
            count = queries.event_count(tenant_id=request.tenant_id, period=month, event_type=event_type)
            rows = queries.events(
                tenant_id=request.tenant_id,
                period=month,
                event_type=event_type,
                limit=page.limit,
                offset=page.offset,
            )
        return Json(
            {
                "tenantId": request.tenant_id,
                "period": month,
                "eventType": event_type,
                "events": [row.as_json() for row in rows],
                "count": count,
                "limit": page.limit,
                "offset": page.offset,
            }
        )
