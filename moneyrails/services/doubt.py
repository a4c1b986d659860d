"""Recovering dispatches that nobody wrote the end of: crashed workers, lost answers (spec 3.4 step 5)."""

import datetime as dt
import uuid
from collections import Counter
from dataclasses import dataclass

import structlog

from moneyrails.models import DispatchAttempt
from moneyrails.queries import operations, payout_facts
from moneyrails.rails import providers
from moneyrails.rails import stripe as stripe_rail
from moneyrails.rails.base import Rail
from moneyrails.services import (
    attempts,
    dispatch,
    dispatch_checks,
    resolution,
    submission,
    submit_conditions,
)
from moneyrails.services.dispatch import Dispatch
from moneyrails.services.movements import ProviderRefConflict
from moneyrails.services.replies import NoMemory
from moneyrails.services.submission import Submission
from moneyrails.states import AttemptStatus, CheckKind
from settld.core import clock, failpoints, tenancy, transactions
from settld.core.errors import NotFound, Refusal
from settld.core.principals import Actor
from settld.stripe_gateway.outcomes import ProviderFailure

ACTOR = Actor.system("dispatch_recovery")
RECOVERABLE = (AttemptStatus.DISPATCHING, AttemptStatus.IN_DOUBT)
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Due:
    """An attempt that waits for somebody to find out."""

    tenant_id: str
    attempt_id: uuid.UUID


def recover_due(*, now: dt.datetime, limit: int = 50, rail: Rail | None = None) -> dict[str, int]:
    """Find out about attempts whose lease ran out, at most `limit`; gives how each ended.

    Safe beside itself and beside submits: each attempt is leased first. One attempt's failure does not
    keep the others. A slow provider makes a round long, so each attempt is leased and judged by the time
    at which its turn comes: by the round's own, a lease would be over as it is taken.
    """
    ends: Counter[str] = Counter()
    began = clock.monotonic()
    for due in find_due(now=now, limit=limit):
        its_turn = now + dt.timedelta(seconds=clock.monotonic() - began)
        try:
            ends[recover(due, now=its_turn, rail=rail)] += 1
        except Exception:
            log.exception("dispatch_recovery_failed", tenant_id=due.tenant_id, attempt_id=str(due.attempt_id))
            ends["error"] += 1
    return dict(ends)


def find_due(*, now: dt.datetime, limit: int) -> list[Due]:
    """List attempts of every tenant that are due, the longest waiting first."""
    with tenancy.platform_scope(reason="dispatch recovery: find due attempts"):
        rows = DispatchAttempt.objects.filter(status__in=RECOVERABLE, next_check_at__lte=now)
        return [Due(*row) for row in rows.order_by("next_check_at").values_list("tenant_id", "pk")[:limit]]


def recover(due: Due, *, now: dt.datetime, rail: Rail | None = None) -> str:
    """Resolve one attempt: adopt its transfer, send the same key again, or leave it in doubt.

    A stop of the tenant's (kill switch, real money, allowed providers) still lets us look, and never
    lets us send.
    """
    with tenancy.tenant_scope(due.tenant_id):
        taken = _take_over(due, now=now)
        if taken is None:
            return "not_due"
        opened, may_send = taken
        return _resolve(opened, rail or stripe_rail.StripeRail(), may_send=may_send, now=now)


def _take_over(due: Due, *, now: dt.datetime) -> tuple[Dispatch, bool] | None:
    """Lease the attempt under the global lock order; None when it is not due after all."""
    with transactions.atomic(durable=True):
        controls = payout_facts.lock_controls(tenant_id=due.tenant_id, now=now)
        seen = DispatchAttempt.objects.select_related("operation").get(pk=due.attempt_id)
        operation = operations.lock(
            tenant_id=due.tenant_id,
            provider_id=seen.operation.provider_id,
            operation_id=seen.operation.operation_id,
        )
        attempt = DispatchAttempt.objects.select_for_update().get(pk=due.attempt_id)
        is_due = attempt.next_check_at is not None and attempt.next_check_at <= now
        if attempt.status not in RECOVERABLE or not is_due or attempt.is_leased(now):
            return None
        try:
            provider = providers.by_path(operation.provider_id)
            submit_conditions.require_sendable(provider, operation, controls, now=now)
            may_send = True
        except (Refusal, NotFound):
            may_send = False
        attempts.take_over(attempt, now=now)
        failpoints.hit("doubt.before_t1_commit")
    failpoints.hit("doubt.after_t1")
    order = attempts.order_of(operation, idempotency_key=attempt.idempotency_key)
    disowned = dispatch_checks.disowned(attempt)
    opened = Dispatch(
        operation, attempt, order, is_doubtful=True, kind=CheckKind.RECOVER, by=ACTOR, disowned=disowned
    )
    return opened, may_send


def _resolve(opened: Dispatch, rail: Rail, *, may_send: bool, now: dt.datetime) -> str:
    try:
        finding = resolution.find_out(opened, rail, now=now)
    except ProviderFailure as failure:
        # Nobody was asked while the circuit is open: that is no reason to wait longer until the next look.
        dispatch.record_failure(opened, failure, is_counted=not failure.is_circuit_open, now=now)
        return "in_doubt"
    if isinstance(finding, resolution.Indeterminate):
        dispatch.give_up(
            opened, reason=finding.reason, observed_ref=finding.observed_ref, found=finding.found, now=now
        )
        return "indeterminate"
    memory: NoMemory[Submission] = NoMemory()
    if isinstance(finding, resolution.Sent):
        return _adopt(opened, finding, memory, now=now)
    if not may_send:
        dispatch.stay_in_doubt(
            opened, reason="the tenant's controls forbid sending now", found=finding.found, now=now
        )
        return "blocked"
    try:
        submission.send(opened, rail, actor=ACTOR, memory=memory, now=now)
    except Refusal as refusal:
        log.info("dispatch_recovery_send", code=refusal.code, operation_id=opened.operation.operation_id)
        return "in_doubt"
    return "sent"


def _adopt(
    opened: Dispatch, finding: resolution.Sent, memory: NoMemory[Submission], *, now: dt.datetime
) -> str:
    try:
        submission.record(opened, finding.transfer, actor=ACTOR, memory=memory, now=now, is_found=True)
    except (submit_conditions.SubmitInProgress, ProviderRefConflict):
        return "in_doubt"
    return "adopted"
