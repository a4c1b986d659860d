"""The error body of /api/billing/*, as this room speaks it (spec/checkout-billing.md 7.1)."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

import structlog
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse

from settld.core.errors import Refusal, Unavailable
from settld.stripe_gateway.metrics import DELIVERIES
from settld.stripe_gateway.outcomes import ProviderTrouble

log = structlog.get_logger(__name__)
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


class NotFound(Refusal):
    """No such door."""

    status = 404
    code = "NOT_FOUND"
    message = "Not found."


class InternalError(Refusal):
    """Our fault; the request id leads to the log."""

    status = 500
    code = "INTERNAL_ERROR"
    message = "internal error"


def renders_refusals(view: View[P]) -> View[P]:
    """Turn what a view raises into an answer; anything but a refusal is logged and not told."""

    @wraps(view)
    def answer(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Refusal as refusal:
            return render(refusal)
        except (OperationalError, ProviderTrouble) as error:
            log.warning("stripe_webhook_postponed", exc_info=error)
            return render(Unavailable(headers={"retry-after": "1"}))
        except Exception as error:
            log.error("unhandled_error", exc_info=error)
            request_id = str(getattr(request, "request_id", ""))
            return render(InternalError(details={"requestId": request_id}))

    return answer


def render(refusal: Refusal) -> JsonResponse:
    """Answer with a refusal, counted; details always carry its code."""
    DELIVERIES.labels(result=refusal.code).inc()
    details = {"code": refusal.code} | (refusal.details if isinstance(refusal.details, dict) else {})
    body = {"error": refusal.message, "code": refusal.code, "details": details}
    return JsonResponse(body, status=refusal.status, headers=refusal.headers)
