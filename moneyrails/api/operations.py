"""Routes of one provider's operations: list, read, submit, cancel."""

from django.http import HttpResponse

from moneyrails.api import replies
from moneyrails.api.serializers import DISPATCH, OPERATION, dispatch_json, operation_json
from moneyrails.queries import operations
from moneyrails.rails import providers
from moneyrails.services import cancellation, submission
from moneyrails.services.replies import Replayed
from moneyrails.services.submission import Submission
from moneyrails.states import Direction, OperationState
from settld.api import fields, openapi, paging
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import failpoints
from settld.idempotency.http import idempotent

READ = ("finance_read",)
WRITE = ("finance_write",)


class OperationList(OpsView):
    """GET /ops/money-rails/{providerId}/operations"""

    scopes = {"GET": READ}

    @openapi.describe(
        "List a provider's operations by id",
        answers={
            200: openapi.obj(
                {
                    "operations": openapi.many(OPERATION),
                    "total": openapi.INT,
                    "limit": openapi.INT,
                    "offset": openapi.INT,
                }
            )
        },
        parameters=[
            *openapi.PAGE,
            openapi.query("state", openapi.one_of(*OperationState.values)),
            openapi.query("partyId"),
            openapi.query("period"),
            openapi.query("direction", openapi.one_of(*Direction.values)),
        ],
    )
    def get(self, request: OpsRequest, provider_id: str) -> HttpResponse:
        provider = providers.by_path(provider_id)
        page = paging.read(request)
        given = Body(request.GET.dict())
        period = given.text("period")
        wanted = operations.OperationFilter(
            state=given.choice("state", tuple(OperationState.values)),
            party_id=given.text("partyId"),
            period=fields.period(period) if period else None,
            direction=given.choice("direction", tuple(Direction.values)),
        )
        rows = operations.listing(
            tenant_id=request.tenant_id, provider_id=provider.provider_id, wanted=wanted
        )
        return Json(
            {
                "operations": [operation_json(row) for row in rows[page.window]],
                "total": rows.count(),
                "limit": page.limit,
                "offset": page.offset,
            }
        )


class OperationDetail(OpsView):
    """GET /ops/money-rails/{providerId}/operations/{operationId}"""

    scopes = {"GET": READ}

    @openapi.describe(
        "Read one operation and its newest dispatch attempt",
        answers={200: openapi.obj({"operation": OPERATION, "dispatch": DISPATCH})},
    )
    def get(self, request: OpsRequest, provider_id: str, operation_id: str) -> HttpResponse:
        provider = providers.by_path(provider_id)
        operation, attempt = operations.get_with_attempt(
            tenant_id=request.tenant_id, provider_id=provider.provider_id, operation_id=operation_id
        )
        return Json({"operation": operation_json(operation), "dispatch": dispatch_json(attempt)})


class SubmitOperation(OpsView):
    """POST /ops/money-rails/{providerId}/operations/{operationId}/submit"""

    scopes = {"POST": WRITE}

    @openapi.describe(
        "Submit an initiated payout to its provider, once",
        body=openapi.obj({"providerRef": openapi.maybe(openapi.TEXT)}, optional=("providerRef",)),
        answers={
            200: openapi.obj(
                {
                    "operation": OPERATION,
                    "applied": openapi.BOOL,
                    "reason": openapi.TEXT,
                    "providerSubmission": openapi.maybe(openapi.OBJECT),
                },
                optional=("reason",),
            )
        },
        refusals=(409, 502),
        idempotent=True,
    )
    def post(self, request: OpsRequest, provider_id: str, operation_id: str) -> HttpResponse:
        provider = providers.by_path(provider_id)
        provider_ref = Body(request.body_json).text("providerRef") or ""
        memory = replies.CallerMemory(request, submission_answer)
        try:
            with replies.lock_timeout_means_in_progress(memory):
                done = submission.submit(
                    tenant_id=request.tenant_id,
                    provider_id=provider.provider_id,
                    operation_id=operation_id,
                    provider_ref=provider_ref,
                    actor=request.actor,
                    now=request.received_at,
                    memory=memory,
                )
        except Replayed as replayed:
            return replies.replay(replayed)
        return submission_answer(done)


def submission_answer(done: Submission) -> Json:
    """Shape what a submit did."""
    reason = {} if done.reason is None else {"reason": done.reason}
    return Json(
        {
            "operation": operation_json(done.operation),
            "applied": done.applied,
            **reason,
            "providerSubmission": done.provider_submission,
        }
    )


class CancelOperation(OpsView):
    """POST /ops/money-rails/{providerId}/operations/{operationId}/cancel"""

    scopes = {"POST": WRITE}

    @openapi.describe(
        "Cancel an operation whose money has not left",
        body=openapi.obj({"reasonCode": openapi.maybe(openapi.TEXT)}, optional=("reasonCode",)),
        answers={200: openapi.obj({"operation": OPERATION, "applied": openapi.BOOL})},
        refusals=(409,),
        idempotent=True,
    )
    def post(self, request: OpsRequest, provider_id: str, operation_id: str) -> HttpResponse:
        providers.by_path(provider_id)
        Body(request.body_json).text("reasonCode", most=200)
        response: HttpResponse = self._post(request, provider_id=provider_id, operation_id=operation_id)
        failpoints.hit("cancel.after_commit")
        return response

    @idempotent
    def _post(self, request: OpsRequest, provider_id: str, operation_id: str) -> HttpResponse:
        result = cancellation.cancel(
            tenant_id=request.tenant_id,
            provider_id=provider_id,
            operation_id=operation_id,
            reason_code=Body(request.body_json).text("reasonCode", most=200) or "",
            actor=request.actor,
            now=request.received_at,
        )
        return Json({"operation": operation_json(result.operation), "applied": result.applied})
