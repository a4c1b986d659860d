"""GET /ops/audit and GET /ops/audit/verify"""

from django.http import HttpResponse

from settld.api import openapi, paging
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.audit import queries
from settld.audit.models import OpsAudit
from settld.audit.services import verify as verifying
from settld.core import clock, transactions

ROW = openapi.obj(
    {
        "id": openapi.INT,
        "tenantId": openapi.TEXT,
        "actorKeyId": openapi.maybe(openapi.TEXT),
        "actorPrincipalId": openapi.TEXT,
        "action": openapi.TEXT,
        "targetType": openapi.TEXT,
        "targetId": openapi.TEXT,
        "requestId": openapi.maybe(openapi.TEXT),
        "at": openapi.INSTANT,
        "detailsHash": openapi.TEXT,
        "details": openapi.maybe(openapi.ANY),
        "seq": openapi.INT,
        "prevHash": openapi.TEXT,
        "rowHash": openapi.TEXT,
    }
)


def as_json(row: OpsAudit) -> dict[str, object]:
    """Shape a row for the wire."""
    return {
        "id": row.id,
        "tenantId": row.tenant_id,
        "actorKeyId": row.actor_key_id,
        "actorPrincipalId": row.actor_principal_id,
        "action": row.action,
        "targetType": row.target_type,
        "targetId": row.target_id,
        "requestId": row.request_id,
        "at": clock.iso(row.at),
        "detailsHash": row.details_hash,
        "details": row.details,
        "seq": row.seq,
        "prevHash": row.prev_hash,
        "rowHash": row.row_hash,
    }


class AuditList(OpsView):
    """GET /ops/audit"""

    scopes = {"GET": ("ops_read", "audit_read")}

    @openapi.describe(
        "List audit rows, newest first",
        answers={200: openapi.obj({"audit": openapi.many(ROW)})},
        parameters=[
            *openapi.PAGE,
            *(openapi.query(name) for name in ("action", "targetType", "targetId", "requestId")),
            openapi.query("since", openapi.INSTANT),
            openapi.query("until", openapi.INSTANT),
            openapi.query("beforeId", openapi.INT, "rows before this id: the next page"),
        ],
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        page = paging.read(request)
        given = Body(request.GET.dict())
        wanted = queries.AuditFilter(
            action=given.text("action"),
            target_type=given.text("targetType"),
            target_id=given.text("targetId", most=2000),
            request_id=given.text("requestId"),
            since=given.instant("since"),
            until=given.instant("until"),
            before_id=given.integer("beforeId", least=1),
        )
        rows = queries.newest(tenant_id=request.tenant_id, wanted=wanted)[page.window]
        return Json({"audit": [as_json(row) for row in rows]})


class AuditVerify(OpsView):
    """GET /ops/audit/verify"""

    scopes = {"GET": ("audit_read",)}

    @openapi.describe(
        "Walk the audit chain and say whether it is whole",
        answers={
            200: openapi.obj(
                {
                    "ok": openapi.BOOL,
                    "tenantId": openapi.TEXT,
                    "rows": openapi.INT,
                    "headSeq": openapi.INT,
                    "headHash": openapi.TEXT,
                    "firstBadSeq": openapi.maybe(openapi.INT),
                    "reason": openapi.maybe(openapi.TEXT),
                }
            )
        },
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        with transactions.atomic():
            verdict = verifying.verify(tenant_id=request.tenant_id)
        return Json(
            {
                "ok": verdict.ok,
                "tenantId": request.tenant_id,
                "rows": verdict.rows,
                "headSeq": verdict.head_seq,
                "headHash": verdict.head_hash,
                "firstBadSeq": verdict.first_bad_seq,
                "reason": verdict.reason,
            }
        )
