"""Routes of outcomes that nobody knows: list, read, and a person's three acts."""

import datetime as dt
import uuid
from typing import Any

from django.http import HttpResponse

from moneyrails.api import replies
from moneyrails.api.serializers import DISPATCH, OPERATION, dispatch_json, operation_json
from moneyrails.models import DispatchAttempt, DispatchCheck
from moneyrails.queries import unknown_outcomes as queries
from moneyrails.services import dispatch_checks, resolution, settling, unknown_outcomes
from moneyrails.services.replies import Replayed
from moneyrails.services.settling import Verdict
from moneyrails.services.unknown_outcomes import Found
from settld.api import openapi, paging
from settld.api.fields import Body
from settld.api.requests import OpsRequest
from settld.api.responses import Json
from settld.api.views import OpsView
from settld.core import clock
from settld.core.errors import Refusal
from settld.core.hashing import canonical_hash

READ = ("finance_read",)
WRITE = ("finance_write",)
STATUSES = ("in_doubt", "indeterminate")
_TRANSFER = openapi.obj(
    {
        "transferId": openapi.TEXT,
        "amountCents": openapi.CENTS,
        "currency": openapi.TEXT,
        "destination": openapi.TEXT,
        "operationId": openapi.TEXT,
        "createdAt": openapi.maybe(openapi.INSTANT),
    }
)
_ROW: dict[str, Any] = {
    "attemptId": openapi.TEXT,
    "providerId": openapi.TEXT,
    "operationId": openapi.TEXT,
    "partyId": openapi.TEXT,
    "period": openapi.TEXT,
    "amountCents": openapi.CENTS,
    "currency": openapi.TEXT,
    "status": openapi.TEXT,
    "attempt": openapi.INT,
    "openedAt": openapi.INSTANT,
    "firstSentAt": openapi.maybe(openapi.INSTANT),
    "replayDeadlineAt": openapi.INSTANT,
    "isReplayable": openapi.BOOL,
    "isBusy": openapi.BOOL,
    "nextCheckAt": openapi.maybe(openapi.INSTANT),
    "submittedBy": openapi.TEXT,
    "observedRef": openapi.maybe(openapi.TEXT),
    "lastErrorCategory": openapi.maybe(openapi.TEXT),
}
_CHECK = openapi.obj(
    {
        "kind": openapi.one_of("send", "recover", "ask", "replay", "settle"),
        "outcome": openapi.TEXT,
        "at": openapi.INSTANT,
        "by": openapi.TEXT,
        "requestId": openapi.maybe(openapi.TEXT),
        "transfers": openapi.maybe(openapi.many(_TRANSFER)),
        "error": openapi.maybe(openapi.OBJECT),
        "note": openapi.maybe(openapi.TEXT),
    }
)
_DETAIL = openapi.obj(
    _ROW
    | {
        "request": openapi.OBJECT,
        "requestHash": openapi.TEXT,
        "error": openapi.maybe(openapi.OBJECT),
        "checks": openapi.many(_CHECK),
        "resolution": openapi.maybe(openapi.OBJECT),
        "you": openapi.obj({"maySettle": openapi.BOOL, "code": openapi.maybe(openapi.TEXT)}),
    }
)
_ACT = {
    200: openapi.obj(
        {
            "operation": OPERATION,
            "dispatch": DISPATCH,
            "outcome": openapi.TEXT,
            "resolved": openapi.BOOL,
            "message": openapi.maybe(openapi.TEXT),
            "transfers": openapi.many(_TRANSFER),
        }
    )
}


class UnknownOutcomeList(OpsView):
    """GET /ops/money-rails/unknown-outcomes"""

    scopes = {"GET": READ}

    @openapi.describe(
        "List dispatches whose outcome is not known, the oldest first",
        answers={
            200: openapi.obj(
                {
                    "unknownOutcomes": openapi.many(openapi.obj(_ROW)),
                    "total": openapi.INT,
                    "limit": openapi.INT,
                    "offset": openapi.INT,
                }
            )
        },
        parameters=[*openapi.PAGE, openapi.query("status", openapi.one_of(*STATUSES))],
    )
    def get(self, request: OpsRequest) -> HttpResponse:
        page = paging.read(request)
        status = Body(request.GET.dict()).choice("status", STATUSES)
        now = request.received_at
        rows = queries.listing(tenant_id=request.tenant_id, now=now, status=status)
        return Json(
            {
                "unknownOutcomes": [row_json(row, now=now) for row in rows[page.window]],
                "total": rows.count(),
                "limit": page.limit,
                "offset": page.offset,
            }
        )


class UnknownOutcomeDetail(OpsView):
    """GET /ops/money-rails/unknown-outcomes/{attemptId}"""

    scopes = {"GET": READ}

    @openapi.describe(
        "Read one dispatch attempt: what was sent, every look at it, and whether the caller may settle it",
        answers={200: openapi.obj({"unknownOutcome": _DETAIL, "operation": OPERATION})},
    )
    def get(self, request: OpsRequest, attempt_id: uuid.UUID) -> HttpResponse:
        attempt = queries.get(tenant_id=request.tenant_id, attempt_id=attempt_id)
        shown = detail_json(attempt, queries.checks(attempt), request)
        return Json({"unknownOutcome": shown, "operation": operation_json(attempt.operation)})


class AskProvider(OpsView):
    """POST /ops/money-rails/unknown-outcomes/{attemptId}/ask"""

    scopes = {"POST": WRITE}

    @openapi.describe(
        "Ask the provider what it has; its one matching transfer is adopted, nothing is sent",
        body=openapi.OBJECT,
        answers=_ACT,
        refusals=(409, 502),
        idempotent=True,
    )
    def post(self, request: OpsRequest, attempt_id: uuid.UUID) -> HttpResponse:
        return _carry_out(request, attempt_id, unknown_outcomes.ask)


class ReplayDispatch(OpsView):
    """POST /ops/money-rails/unknown-outcomes/{attemptId}/replay"""

    scopes = {"POST": WRITE}

    @openapi.describe(
        "Send the same key again before the replay deadline, if the provider has nothing yet",
        body=openapi.OBJECT,
        answers=_ACT,
        refusals=(409, 502),
        idempotent=True,
    )
    def post(self, request: OpsRequest, attempt_id: uuid.UUID) -> HttpResponse:
        return _carry_out(request, attempt_id, unknown_outcomes.replay)


class SettleDispatch(OpsView):
    """POST /ops/money-rails/unknown-outcomes/{attemptId}/settle"""

    scopes = {"POST": WRITE}

    @openapi.describe(
        "Settle an unknown outcome by evidence, as a second person",
        description="sent names the transfer, which must be the payout's where the provider can be asked;"
        " not_sent permits the next attempt. evidence is needed where the provider proves nothing.",
        body=openapi.obj(
            {
                "outcome": openapi.one_of("sent", "not_sent"),
                "transferId": openapi.maybe(openapi.TEXT),
                "reason": {"type": "string", "maxLength": settling.MOST_REASON},
                "evidence": openapi.maybe({"type": "string", "maxLength": settling.MOST_EVIDENCE}),
            },
            optional=("transferId", "evidence"),
        ),
        answers=_ACT,
        refusals=(409,),
        idempotent=True,
    )
    def post(self, request: OpsRequest, attempt_id: uuid.UUID) -> HttpResponse:
        given = Body(request.body_json)
        verdict = Verdict(
            outcome=given.required_text("outcome", most=20),
            reason=given.required_text("reason", most=settling.MOST_REASON),
            transfer_id=given.text("transferId", most=300) or "",
            evidence=given.text("evidence", most=settling.MOST_EVIDENCE) or "",
        )
        return _carry_out(request, attempt_id, settling.settle, verdict=verdict)


def _carry_out(request: OpsRequest, attempt_id: uuid.UUID, act: Any, **more: Any) -> HttpResponse:
    memory: replies.CallerMemory[Found] = replies.CallerMemory(request, act_json)
    try:
        with replies.lock_timeout_means_in_progress(memory):
            done = act(
                tenant_id=request.tenant_id,
                attempt_id=attempt_id,
                actor=request.actor,
                now=request.received_at,
                memory=memory,
                **more,
            )
    except Replayed as replayed:
        return replies.replay(replayed)
    return act_json(done)


# --- Shapes -----------------------------------------------------------------------------------------
def act_json(done: Found) -> Json:
    """Shape what an act came to."""
    return Json(
        {
            "operation": operation_json(done.operation),
            "dispatch": dispatch_json(done.attempt),
            "outcome": done.outcome.value,
            "resolved": done.is_resolved,
            "message": done.text or None,
            "transfers": [dispatch_checks.shown(transfer) for transfer in done.transfers],
        }
    )


def row_json(attempt: DispatchAttempt, *, now: dt.datetime) -> dict[str, Any]:
    """Shape one row of the list."""
    operation = attempt.operation
    deadline = resolution.replay_deadline(attempt)
    return {
        "attemptId": str(attempt.pk),
        "providerId": operation.provider_id,
        "operationId": operation.operation_id,
        "partyId": operation.party_id,
        "period": operation.period,
        "amountCents": operation.amount_cents,
        "currency": operation.currency,
        "status": str(attempt.status),
        "attempt": attempt.attempt,
        "openedAt": clock.iso(attempt.created_at),
        "firstSentAt": clock.iso(attempt.first_sent_at),
        "replayDeadlineAt": clock.iso(deadline),
        "isReplayable": attempt.is_open and now < deadline,
        "isBusy": attempt.is_leased(now),
        "nextCheckAt": clock.iso(attempt.next_check_at),
        "submittedBy": attempt.submitted_by,
        "observedRef": attempt.observed_ref or None,
        "lastErrorCategory": (attempt.error or {}).get("category"),
    }


def detail_json(attempt: DispatchAttempt, checks: list[DispatchCheck], request: OpsRequest) -> dict[str, Any]:
    """Shape one attempt with all that is known of it."""
    return row_json(attempt, now=request.received_at) | {
        "request": attempt.request,
        "requestHash": canonical_hash(attempt.request),
        "error": attempt.error,
        "checks": [check_json(check) for check in checks],
        "resolution": _resolution(attempt),
        "you": _you(attempt, request),
    }


def check_json(check: DispatchCheck) -> dict[str, Any]:
    """Shape one look."""
    return {
        "kind": check.kind,
        "outcome": check.outcome,
        "at": clock.iso(check.checked_at),
        "by": check.checked_by,
        "requestId": check.request_id or None,
        "transfers": check.found,
        "error": check.error,
        "note": check.note or None,
    }


def _resolution(attempt: DispatchAttempt) -> dict[str, Any] | None:
    if not attempt.resolved_by:
        return None
    return {
        "outcome": settling.NOT_SENT if attempt.status == "not_sent" else settling.SENT,
        "by": attempt.resolved_by,
        "at": clock.iso(attempt.resolved_at),
        "reason": attempt.resolution_reason,
        "evidence": attempt.resolution_evidence or None,
    }


def _you(attempt: DispatchAttempt, request: OpsRequest) -> dict[str, Any]:
    if not attempt.is_open or not request.principal.has("finance_write"):
        return {"maySettle": False, "code": None}
    try:
        settling.require_second_person(attempt, actor=request.actor)
    except Refusal as refusal:
        return {"maySettle": False, "code": refusal.code}
    return {"maySettle": True, "code": None}
