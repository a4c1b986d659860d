"""Making a portal session or a payment link at the provider: what both do alike (spec 7.3, 7.4).

A claim is committed, the provider is asked with no transaction open, and the end is written by
compare-and-set on the lease version. An outcome that says nothing leaves the request pending; neither action
has a hold.
"""

import datetime as dt
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urljoin

import structlog
from django.conf import settings

from billing import clock
from billing.guardrail_codes import Guardrail
from billing.models import BillableEntity, BillingRequest
from billing.providers.errors import ProviderProblem
from billing.services import certainty, guardrails, idempotency, locks, transactions
from billing.services.certainty import Judgement, Outcome
from billing.services.idempotency import Answer
from billing.states import FailureCode, RequestStatus

log = structlog.get_logger(__name__)
_WHITE_SPACE: Final = re.compile(r"\s")
FAILURES = {
    Outcome.REJECTED: FailureCode.CHECKOUT_PROVIDER_ERROR,
    Outcome.MISMATCH: FailureCode.CHECKOUT_CONFIGURATION_INVALID,
    Outcome.UNSENT: FailureCode.CHECKOUT_CONFIGURATION_INVALID,
}
Write = Callable[[BillableEntity, BillingRequest], object]


class Fenced(Exception):
    """The request is no longer ours: it has an end, or somebody took it over. Answer from `request`."""

    def __init__(self, request: BillingRequest) -> None:
        super().__init__("the lease of the request is lost")
        self.request = request


def absolute(path: str) -> str:
    """Join a path of our own pages, which the API has checked, with the deployment's public address.

    White space is percent-encoded, as a provider takes no URL with any; all else stays as it was sent.
    """
    joined = urljoin(settings.BILLING.app_public_url + "/", path)
    return _WHITE_SPACE.sub(lambda found: quote(found[0]), joined)


def end(request: BillingRequest, write: Write) -> Answer:
    """Run `write` on the locked entity and request, in one transaction, and answer from the row.

    `write` ends the request by compare-and-set on `request.lease_version`. Whoever was fenced answers from
    what the row says now; RequestInProgress when it has no end.
    """
    row = locked(request, write)
    return idempotency.render(row, now=clock.now())


def give_up(
    request: BillingRequest, *, code: FailureCode, status: RequestStatus = RequestStatus.FAILED
) -> Answer:
    """End a request that cannot be carried out, found so before any dispatch, and answer with its failure."""
    guardrails.emit(
        Guardrail.RECOVERY_FAILURE,
        operation_key=request.operation_key,
        billable_entity_id=request.billable_entity_id,
        action=request.action,
        failure_code=code.value,
    )

    def write(entity: BillableEntity, row: BillingRequest) -> None:
        version = request.lease_version
        idempotency.fail(row, expected_version=version, code=code, status=status, now=clock.now())

    return end(request, write)


def conclude(request: BillingRequest, error: Exception, *, is_replay: bool) -> Answer:
    """Write down what a call that gave no usable answer tells, by the table of 5.3, and answer.

    A clear no ends the request; anything else leaves it pending, which is RequestInProgress (409).
    """
    judgement = certainty.judge(
        error,
        action=request.action,
        is_replay=is_replay,
        had_indeterminate_attempt=request.had_indeterminate_attempt,
    )
    _say(request, judgement, error)
    code = FAILURES.get(judgement.outcome)

    def write(entity: BillableEntity, row: BillingRequest) -> None:
        version = request.lease_version
        if code is not None:
            idempotency.fail(row, expected_version=version, code=code, now=clock.now())
            return
        idempotency.note(
            row,
            expected_version=version,
            is_indeterminate=judgement.is_indeterminate,
            is_saved_failure=judgement.is_saved_failure,
        )

    return end(request, write)


def require_lease(request: BillingRequest, *, now: dt.datetime) -> BillingRequest:
    """Make sure that enough of the lease is left for one more call, renewing it where not.

    A renewal moves the version on, so that the row given back is the one to go on with. Raises Fenced.
    """
    lease_seconds = settings.BILLING.pending_lease_seconds
    lease = request.pending_lease_expires_at
    if lease is not None and now + dt.timedelta(seconds=lease_seconds / 2) < lease:
        return request

    def write(entity: BillableEntity, row: BillingRequest) -> None:
        require_ours(request, row)
        row.pending_lease_expires_at = idempotency.lease_ends(now)
        row.pending_last_heartbeat_at = now
        row.lease_version += 1
        row.save(update_fields=["pending_lease_expires_at", "pending_last_heartbeat_at", "lease_version"])

    return locked(request, write)


def require_ours(request: BillingRequest, row: BillingRequest) -> None:
    """Refuse to write for a request that has an end or was taken over since we read it; raises Fenced."""
    if not row.is_pending or row.lease_version != request.lease_version:
        idempotency.fenced(row)
        raise Fenced(row)


def locked(request: BillingRequest, write: Write) -> BillingRequest:
    def work() -> BillingRequest:
        entity = locks.lock_entity(entity_id=request.billable_entity_id)
        row = locks.lock_request(entity, request.pk)
        if row is None:
            raise LookupError(f"the entity has no request {request.pk}")
        write(entity, row)
        return row

    return transactions.retried(tenant_id=request.tenant_id, work=work)


def _say(request: BillingRequest, judgement: Judgement, error: Exception) -> None:
    context = certainty.problem_context(error)
    for code in judgement.guardrails:
        guardrails.emit(
            code,
            operation_key=request.operation_key,
            billable_entity_id=request.billable_entity_id,
            **context,
        )
    if judgement.outcome == Outcome.PENDING:
        log.warning(
            "billing_creation_undecided",
            action=request.action,
            operation_key=request.operation_key,
            billable_entity_id=request.billable_entity_id,
            **context,
            exc_info=None if isinstance(error, ProviderProblem) else error,
        )
