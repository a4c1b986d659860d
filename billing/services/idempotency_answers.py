"""How a request ends for its client: answers and failures are stored, and told from the row ever after.

One code has one status and one sentence (section 4), so a replay is the first answer again to the byte.
"""

import datetime as dt
import math
from dataclasses import dataclass, field
from typing import Any, Final

from billing import clock
from billing.models import BillingRequest
from billing.states import FailureCode, RequestStatus
from settld.core.errors import Conflict

REPLAYED: Final = "Idempotent-Replayed"
SENTENCES: Final[dict[str, str]] = {
    FailureCode.CHECKOUT_PROVIDER_ERROR: "The payment provider rejected the request.",
    FailureCode.CHECKOUT_PLAN_NOT_FOUND: "Billing plan not found.",
    FailureCode.CHECKOUT_SESSION_OPEN: "A checkout session is already open.",
    FailureCode.CHECKOUT_COMPLETION_PENDING: "A completed checkout is waiting for its subscription.",
    FailureCode.CHECKOUT_RECOVERY_VERIFICATION_PENDING: "An earlier checkout is still being verified.",
    FailureCode.CHECKOUT_CONFIGURATION_INVALID: "Billing is not configured correctly for this request.",
    FailureCode.SUBSCRIPTION_EXISTS_USE_PORTAL: (
        "A subscription exists already; use the billing portal to change it."
    ),
    FailureCode.PORTAL_SUBSCRIPTION_REQUIRED: "The billing portal needs a subscription.",
    FailureCode.CHECKOUT_RECOVERY_WINDOW_ELAPSED: "The request can no longer be recovered; start a new one.",
    FailureCode.CHECKOUT_REPLAY_PROVENANCE_MISMATCH: (
        "The request was made by another version of the service and cannot be repeated; start a new one."
    ),
}
STATUSES: Final[dict[str, int]] = {
    FailureCode.CHECKOUT_PROVIDER_ERROR: 502,
    FailureCode.CHECKOUT_PLAN_NOT_FOUND: 404,
}
UNKNOWN_SENTENCE: Final = "The request failed."


@dataclass(frozen=True)
class Answer:
    """What the client is told: an HTTP status, a JSON body, headers."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


class RequestInProgress(Conflict):
    """Somebody is at work on this very request, or its outcome is not known yet; nothing was changed."""

    code = "request_in_progress"
    message = "This request is still in progress."


class CheckoutInProgress(Conflict):
    """Another checkout of the entity has no end yet; nothing was stored for this one."""

    code = "checkout_in_progress"
    message = "Another checkout is in progress."

    def __init__(self, *, is_abandoned: bool = False) -> None:
        super().__init__()
        self.is_abandoned = is_abandoned  # its lease is over, so somebody should find out about it


class IdempotencyConflict(Conflict):
    """The key was used for something else, or for something so long ago that its answer is gone."""

    code = "idempotency_conflict"
    message = "The Idempotency-Key was used for another request."


def status_of(failure_code: str | None) -> int:
    """Give the HTTP status of a failure; an unknown one is a conflict."""
    return STATUSES.get(failure_code or "", 409)


def sentence_of(failure_code: str | None) -> str:
    """Give the one sentence of a failure."""
    return SENTENCES.get(failure_code or "", UNKNOWN_SENTENCE)


def render(request: BillingRequest, *, now: dt.datetime | None = None, is_replay: bool = False) -> Answer:
    """Tell the stored end of a request; RequestInProgress when it has none.

    Only the latter depends on the time, which is read where it is not given. `is_replay` marks a success that
    this call found and did not bring about.
    """
    if request.status == RequestStatus.PENDING:
        raise in_progress(request, now=now or clock.now())
    if request.status == RequestStatus.SUCCEEDED:
        return Answer(200, request.response_json or {}, {REPLAYED: "true"} if is_replay else {})
    code = request.failure_code
    body = {
        "error": request.failure_reason or sentence_of(code),
        "code": code,
        "details": {"code": code} | (request.failure_details_json or {}),
    }
    return Answer(status_of(code), body)


def in_progress(request: BillingRequest, *, now: dt.datetime) -> RequestInProgress:
    """Make the refusal of who comes while the lease runs: it says how many whole seconds are left."""
    lease = request.pending_lease_expires_at
    left = 0 if lease is None else math.ceil((lease - now).total_seconds())
    return RequestInProgress(headers={"Retry-After": str(max(1, left))})
