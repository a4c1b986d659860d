"""POST, GET /ops/finance/billing/period-close"""

from django.http import HttpResponse

from billing.plans.api import schemas
from billing.plans.services import period_close
from billing.plans.services.period_close import INVALID, Draft, Request
from settld.api import openapi, paging
from settld.api.fields import Body, period
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import clock, transactions
from settld.idempotency.http import idempotent

NO_DELIVERIES = 0


class PeriodClose(OpsView):
    """POST, GET /ops/finance/billing/period-close"""

    scopes = {"POST": ("finance_write",), "GET": ("finance_read",)}

    @openapi.describe(
        "Close a billing period with an invoice draft",
        description="The draft is worked out over one view of plan and events. Closing again with the same"
        " plan, events and cutoff gives the same artifact. A dry run stores nothing.",
        body=schemas.CLOSE_BODY,
        answers={200: schemas.CLOSE_ANSWER},
        idempotent=True,
    )
    def post(self, request: OpsRequest) -> HttpResponse:
        wanted = read_request(request)
        draft = period_close.work_out(tenant_id=request.tenant_id, request=wanted)
        return self._keep(request, wanted=wanted, draft=draft)

    @idempotent
    def _keep(self, request: OpsRequest, *, wanted: Request, draft: Draft) -> HttpResponse:
        """Keep what was worked out; its one snapshot cannot be the transaction that writes."""
        artifact = period_close.keep(
            tenant_id=request.tenant_id,
            request=wanted,
            draft=draft,
            actor=request.actor,
            now=request.received_at,
        )
        body = draft.body
        return Json(
            {
                "ok": True,
                "tenantId": request.tenant_id,
                "period": wanted.period,
                "dryRun": wanted.is_dry_run,
                "cutoffAt": body["cutoffAt"],
                "eventsDigest": body["inputs"]["eventsDigest"],
                "usage": body["usage"],
                "estimate": body["estimate"],
                "enforcement": body["enforcement"],
                "invoice": body["invoice"],
                "artifact": artifact
                and {
                    "artifactId": artifact.artifact_id,
                    "artifactHash": artifact.artifact_hash,
                    "deliveriesCreated": NO_DELIVERIES,
                },
            }
        )

    @openapi.describe(
        "List the closes of billing periods",
        description="Newest written first; `latest` and `count` are over all that match, whatever the page.",
        answers={200: schemas.CLOSES},
        parameters=[
            openapi.query("period", description="YYYY-MM"),
            openapi.query("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
            openapi.query("offset", {"type": "integer", "minimum": 0, "default": 0}),
        ],
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        page = paging.read(request, default=50, most=500)
        month = Body(request.GET.dict()).text("period", most=20)
        if month is not None:
            month = period(month)
        found = period_close.stored(tenant_id=request.tenant_id, period=month)
        with transactions.snapshot():
            count, latest, rows = found.count(), found.first(), list(found[page.window])
        return Json(
            {
                "tenantId": request.tenant_id,
                "period": month,
                "count": count,
                "limit": page.limit,
                "offset": page.offset,
                "latest": latest.document if latest else None,
                "artifacts": [row.document for row in rows],
            }
        )


def read_request(request: OpsRequest) -> Request:
    """Read the body; without a period it is the current month."""
    given = Body(request.body_json, message=INVALID)
    named = {given.text(key) for key in ("period", "month")} - {None}
    if len(named) > 1:
        raise given.fault("period and month name different months")
    month = named.pop() if named else clock.period_of(request.received_at)
    if given.has("cutoffAt") and given.instant("cutoffAt") is None:
        raise given.fault("cutoffAt must be an ISO 8601 date-time with an offset")
    return Request(
        period=period(month),
        cutoff_at=given.instant("cutoffAt"),
        is_dry_run=given.boolean("dryRun") is True,
    )
