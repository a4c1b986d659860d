"""Approvals as the wire shows them, for every room whose verbs may answer with one."""

import datetime as dt
from typing import Any

from moneyrails.models import Approval
from moneyrails.queries import approvals as queries
from moneyrails.states import ApprovalStatus
from settld.api import openapi
from settld.api.responses import Json
from settld.core import clock

_WHO = openapi.obj(
    {
        "principalId": openapi.TEXT,
        "userId": openapi.maybe(openapi.TEXT),
        "keyId": openapi.maybe(openapi.TEXT),
    }
)
_CHANGE = openapi.obj(
    {"field": openapi.TEXT, "before": openapi.ANY, "after": openapi.ANY, "why": openapi.TEXT}
)
APPROVAL = openapi.obj(
    {
        "schemaVersion": openapi.one_of("Approval.v1"),
        "approvalId": openapi.TEXT,
        "tenantId": openapi.TEXT,
        "kind": openapi.TEXT,
        "subject": openapi.TEXT,
        "status": openapi.one_of(*ApprovalStatus.values),
        "changes": openapi.many(_CHANGE),
        "body": openapi.OBJECT,
        "bodyHash": openapi.TEXT,
        "base": openapi.OBJECT,
        "baseHash": openapi.TEXT,
        "requestedBy": _WHO,
        "requestReason": openapi.maybe(openapi.TEXT),
        "requestedAt": openapi.INSTANT,
        "expiresAt": openapi.INSTANT,
        "decidedBy": openapi.maybe(_WHO),
        "decisionReason": openapi.maybe(openapi.TEXT),
        "decidedAt": openapi.maybe(openapi.INSTANT),
        "result": openapi.maybe(openapi.OBJECT),
    }
)
ONE = openapi.obj({"ok": openapi.BOOL, "approval": APPROVAL})
PENDING = openapi.obj({"ok": openapi.BOOL, "approval": APPROVAL, "notice": openapi.TEXT})
WAITS = "nothing of this request was applied; a second person has to approve it"
STOPPED = "payouts are stopped; nothing else of this request was applied: a second person has to approve it"


def as_json(approval: Approval, *, now: dt.datetime) -> dict[str, Any]:
    """Shape an approval (`Approval.v1`); one that ran out reads as expired at once."""
    return {
        "schemaVersion": "Approval.v1",
        "approvalId": str(approval.pk),
        "tenantId": approval.tenant_id,
        "kind": approval.kind,
        "subject": approval.subject,
        "status": queries.status_of(approval, now=now),
        "changes": approval.changes,
        "body": approval.body,
        "bodyHash": approval.body_hash,
        "base": approval.base,
        "baseHash": approval.base_hash,
        "requestedBy": {
            "principalId": approval.requested_by,
            "userId": approval.requested_by_user_id or None,
            "keyId": approval.requested_by_key_id or None,
        },
        "requestReason": approval.request_reason or None,
        "requestedAt": clock.iso(approval.requested_at),
        "expiresAt": clock.iso(approval.expires_at),
        "decidedBy": {
            "principalId": approval.decided_by,
            "userId": approval.decided_by_user_id or None,
            "keyId": approval.decided_by_key_id or None,
        }
        if approval.decided_at
        else None,
        "decisionReason": approval.decision_reason or None,
        "decidedAt": clock.iso(approval.decided_at),
        "result": approval.result,
    }


def pending(approval: Approval, *, now: dt.datetime, was_stopped: bool = False) -> Json:
    """Answer that a change waits, and that nothing of it was done but the stop in it."""
    notice = STOPPED if was_stopped else WAITS
    return Json({"ok": True, "approval": as_json(approval, now=now), "notice": notice}, status=202)
