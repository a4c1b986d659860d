"""One handler renders every refusal, in the three bodies that the routes' families use (spec ruling 15)."""

import json
from typing import Any

import structlog
from django.core.exceptions import SuspiciousOperation
from django.db import DatabaseError, OperationalError, connection
from django.http import HttpResponse
from psycopg import errors as pg

from settld.core.errors import Invalid, Refusal, Unavailable

log = structlog.get_logger(__name__)


class Busy(Unavailable):
    """Another request holds what this one needs; nothing was done."""

    code = "LOCK_TIMEOUT"
    message = "another request is working on the same rows; try again"


class InternalError(Refusal):
    """Our fault; the request id leads to the log."""

    status = 500
    code = "INTERNAL_ERROR"
    message = "internal error"


def body_of(refusal: Refusal, *, family: str) -> dict[str, Any]:
    """Shape a refusal as its family's clients expect."""
    if family == "v1":
        body: dict[str, Any] = {"ok": False, "code": refusal.code, "message": refusal.message}
        return body if refusal.details is None else body | {"details": refusal.details}
    if family == "billing":
        return _billing_body(refusal)
    return {"error": refusal.message, "code": refusal.code, "details": refusal.details}


def _billing_body(refusal: Refusal) -> dict[str, Any]:
    """Shape a refusal of /api/billing/*: details repeat the code, and name the fields that are wrong."""
    details = refusal.details if isinstance(refusal.details, dict) else {}
    if refusal.code:
        details = {"code": refusal.code} | details
    body: dict[str, Any] = {"error": refusal.message}
    body |= {"code": refusal.code} if refusal.code else {}
    body |= {"details": details} if details else {}
    return body | ({"fieldErrors": details["fieldErrors"]} if "fieldErrors" in details else {})


def render(refusal: Refusal, *, family: str = "ops") -> HttpResponse:
    """Answer with a refusal."""
    response = HttpResponse(
        json.dumps(body_of(refusal, family=family), ensure_ascii=False, separators=(",", ":"), default=str),
        status=refusal.status,
        content_type="application/json; charset=utf-8",
    )
    for name, value in refusal.headers.items():
        response[name] = value
    return response


def refusal_for(error: Exception, *, request_id: str) -> Refusal:
    """Turn any exception into a refusal; what we did not foresee becomes a 500 without its text."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, SuspiciousOperation):  # too many query parameters, a host that is not ours
        return Invalid("malformed request")
    if isinstance(error, OperationalError) and isinstance(
        error.__cause__, pg.LockNotAvailable | pg.DeadlockDetected | pg.SerializationFailure
    ):
        return Busy(headers={"retry-after": "1"})
    if isinstance(error, DatabaseError) and isinstance(
        error.__cause__, pg.AdminShutdown | pg.ConnectionFailure
    ):
        return Unavailable(headers={"retry-after": "1"})
    log.error("unhandled_error", exc_info=error, request_id=request_id)
    return InternalError(details={"requestId": request_id})


def _is_database_away(error: Exception) -> bool:
    """Tell a database that went away from a statement that failed."""
    if isinstance(error.__cause__, pg.AdminShutdown | pg.CrashShutdown | pg.CannotConnectNow):
        return True
    raw = connection.connection
    return raw is None or bool(raw.closed)


def drf_exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponse:
    """Serve the few places where Django REST framework itself raises."""
    return render(refusal_for(error, request_id=getattr(context.get("request"), "request_id", "")))
