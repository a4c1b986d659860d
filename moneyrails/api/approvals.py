"""/ops/approvals: what waits for a second person, and deciding it."""

from typing import Any, ClassVar

from django.http import HttpResponse

from moneyrails.queries import approvals as queries
from moneyrails.services import approvals
from moneyrails.services.approval_wire import APPROVAL, ONE, as_json
from moneyrails.states import ApprovalStatus
from settld.api import openapi, paging
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import failpoints
from settld.idempotency.http import idempotent

MOST_REASON = 1000
_DECISION = openapi.obj({"reason": openapi.TEXT})


class ApprovalList(OpsView):
    """GET /ops/approvals"""

    scopes: ClassVar = {"GET": ("finance_read",)}

    @openapi.describe(
        "List changes that wait, or waited, for a second person, newest first",
        answers={
            200: openapi.obj(
                {
                    "approvals": openapi.many(APPROVAL),
                    "total": openapi.INT,
                    "limit": openapi.INT,
                    "offset": openapi.INT,
                }
            )
        },
        parameters=(openapi.query("status", openapi.one_of(*ApprovalStatus.values)), *openapi.PAGE),
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        page = paging.read(request)
        wanted = Body({"status": request.GET.get("status")}).choice("status", tuple(ApprovalStatus.values))
        rows = queries.listing(
            tenant_id=request.tenant_id, status=wanted or "", now=request.received_at
        )  # fmt: skip
        return Json(
            {
                "approvals": [as_json(row, now=request.received_at) for row in rows[page.window]],
                "total": rows.count(),
                "limit": page.limit,
                "offset": page.offset,
            }
        )


class ApprovalDetail(OpsView):
    """GET /ops/approvals/{approvalId}"""

    scopes: ClassVar = {"GET": ("finance_read",)}

    @openapi.describe("Show one approval", answers={200: openapi.obj({"approval": APPROVAL})})
    def get(self, request: OpsRequest, approval_id: str) -> HttpResponse:
        approval = queries.get(tenant_id=request.tenant_id, approval_id=approval_id)
        return Json({"approval": as_json(approval, now=request.received_at)})


class _Decide(OpsView):
    """One decision; the reason is needed and kept for good."""

    scopes: ClassVar = {"POST": ("finance_write",)}
    decide: ClassVar[Any]

    def _decided(self, request: OpsRequest, approval_id: str) -> HttpResponse:
        approval = type(self).decide(
            tenant_id=request.tenant_id,
            approval_id=approval_id,
            reason=Body(request.body_json).required_text("reason", most=MOST_REASON),
            actor=request.actor,
            now=request.received_at,
        )
        return Json({"ok": True, "approval": as_json(approval, now=request.received_at)})


class Approve(_Decide):
    """POST /ops/approvals/{approvalId}/approve"""

    decide = approvals.approve

    @openapi.describe(
        "Carry out what was asked, as a second person",
        body=_DECISION,
        answers={200: ONE},
        refusals=(409,),
        idempotent=True,
    )
    def post(self, request: OpsRequest, approval_id: str) -> HttpResponse:
        response: HttpResponse = self._post(request, approval_id=approval_id)
        failpoints.hit("approval_approve.after_commit")
        return response

    @idempotent
    def _post(self, request: OpsRequest, approval_id: str) -> HttpResponse:
        return self._decided(request, approval_id)


class Reject(_Decide):
    """POST /ops/approvals/{approvalId}/reject"""

    decide = approvals.reject

    @openapi.describe(
        "Decide against what was asked", body=_DECISION, answers={200: ONE}, refusals=(409,), idempotent=True
    )
    @idempotent
    def post(self, request: OpsRequest, approval_id: str) -> HttpResponse:
        return self._decided(request, approval_id)


class Withdraw(_Decide):
    """POST /ops/approvals/{approvalId}/withdraw"""

    decide = approvals.withdraw

    @openapi.describe(
        "Take back what one asked", body=_DECISION, answers={200: ONE}, refusals=(409,), idempotent=True
    )
    @idempotent
    def post(self, request: OpsRequest, approval_id: str) -> HttpResponse:
        return self._decided(request, approval_id)
