"""A person's acts on an outcome that nobody knows: ask the provider, or send the same key again (spec 3.4).

Both lease the attempt first, call with no transaction open, and write down what came of it if the lease
still holds. Neither turns a doubt into a no, and neither gives an attempt that was left to people back to
the loop. Settling by evidence is in `settling`.
"""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

from moneyrails.models import DispatchAttempt, Operation
from moneyrails.queries import operations, payout_facts
from moneyrails.queries import unknown_outcomes as queries
from moneyrails.rails import providers
from moneyrails.rails import stripe as stripe_rail
from moneyrails.rails.base import Rail, Transfer
from moneyrails.services import (
    attempts,
    dispatch,
    dispatch_checks,
    resolution,
    submission,
    submit_conditions,
)
from moneyrails.services.dispatch import Dispatch
from moneyrails.services.replies import Memory, NoMemory
from moneyrails.services.submission import Submission
from moneyrails.states import CheckKind, CheckOutcome
from settld.core import clock, failpoints, transactions
from settld.core.errors import Conflict
from settld.core.principals import Actor
from settld.idempotency.services.records import IdempotencyInProgress
from settld.stripe_gateway.outcomes import ProviderFailure


class AlreadyResolved(Conflict):
    """The outcome is known by now; there is nothing to find out."""

    code = "MONEY_RAIL_DISPATCH_ALREADY_RESOLVED"
    message = "the outcome of this dispatch attempt is known"

    def __init__(self, operation: Operation, attempt: DispatchAttempt) -> None:
        super().__init__(
            details={
                "operationId": operation.operation_id,
                "operationState": str(operation.state),
                "attempt": attempt.attempt,
                "status": str(attempt.status),
            }
        )


class ReplayWindowClosed(Conflict):
    """The provider may have forgotten the key, so the same key could make a second transfer."""

    code = "MONEY_RAIL_REPLAY_WINDOW_CLOSED"
    message = "the time in which the same key may be sent again is over"

    def __init__(self, attempt: DispatchAttempt) -> None:
        super().__init__(
            details={
                "attempt": attempt.attempt,
                "firstSentAt": clock.iso(attempt.first_sent_at),
                "replayDeadlineAt": clock.iso(resolution.replay_deadline(attempt)),
            }
        )


@dataclass(frozen=True)
class Found:
    """What an act came to. `is_resolved` says that the outcome is known now, `text` why it is not."""

    operation: Operation
    attempt: DispatchAttempt
    outcome: CheckOutcome
    is_resolved: bool
    text: str = ""
    transfers: tuple[Transfer, ...] = ()


def ask(
    *,
    tenant_id: str,
    attempt_id: uuid.UUID,
    actor: Actor,
    now: dt.datetime,
    memory: Memory[Found] | None = None,
    rail: Rail | None = None,
) -> Found:
    """Ask the provider what it has; adopt the one transfer that is exactly ours, else keep the doubt.

    Sends nothing, so a stop of the tenant's does not forbid it. Raises AttemptNotFound, AlreadyResolved,
    SubmitInProgress: nobody was asked. SubmitFailed: the provider did not say. Replayed.
    """
    transactions.require_no_transaction()
    memory = memory or NoMemory()
    opened = open_for(
        CheckKind.ASK, tenant_id=tenant_id, attempt_id=attempt_id, actor=actor, memory=memory, now=now
    )
    finding = _find_out(opened, rail or stripe_rail.StripeRail(), now=now)
    if isinstance(finding, resolution.Sent):
        return _adopt(opened, finding.transfer, memory=memory, now=now)
    if isinstance(finding, resolution.Indeterminate):
        return _leave_to_people(opened, finding, memory=memory, now=now)
    text = "the provider has no transfer for this payout now"
    kept = _Kept(opened, memory, CheckOutcome.NOTHING_FOUND, text=text)
    dispatch.stay_in_doubt(opened, reason=text, found=(), also=kept.write, is_counted=False, now=now)
    return kept.answer()


def replay(
    *,
    tenant_id: str,
    attempt_id: uuid.UUID,
    actor: Actor,
    now: dt.datetime,
    memory: Memory[Found] | None = None,
    rail: Rail | None = None,
) -> Found:
    """Send the same key again, once the provider has said that it has nothing; it makes no second transfer.

    What the provider has is adopted, or left to people, without sending. Raises as `ask`, and
    ReplayWindowClosed or a gate's refusal: nothing was sent. InvalidResponse: the doubt stays.
    """
    transactions.require_no_transaction()
    memory = memory or NoMemory()
    rail = rail or stripe_rail.StripeRail()
    opened = open_for(
        CheckKind.REPLAY, tenant_id=tenant_id, attempt_id=attempt_id, actor=actor, memory=memory, now=now
    )
    finding = _find_out(opened, rail, now=now)
    if isinstance(finding, resolution.Sent):
        return _adopt(opened, finding.transfer, memory=memory, now=now)
    if isinstance(finding, resolution.Indeterminate):
        return _leave_to_people(opened, finding, memory=memory, now=now)
    through = _Through(opened, memory, CheckOutcome.SENT)
    submission.send(opened, rail, actor=actor, memory=through, now=now)
    return through.answer()


# --- Opening ----------------------------------------------------------------------------------------
def open_for(
    kind: CheckKind,
    *,
    tenant_id: str,
    attempt_id: uuid.UUID,
    actor: Actor,
    memory: Memory[Any],
    now: dt.datetime,
) -> Dispatch:
    """Lease an attempt for an act; until it has ended nobody else asks, sends or settles."""
    failpoints.hit("unknown.before_t1")
    with transactions.atomic(durable=True):
        memory.recall()
        operation, attempt = lock_open(
            tenant_id=tenant_id, attempt_id=attempt_id, now=now, is_send=kind == CheckKind.REPLAY,
            caller_identity_hash=memory.identity_hash,
        )  # fmt: skip
        if kind != CheckKind.SETTLE and not stripe_rail.is_configured():
            raise submit_conditions.SecretKeyRequired(details={"providerId": operation.provider_id})
        attempts.hold(attempt, now=now, caller_identity_hash=memory.identity_hash)
        failpoints.hit("unknown.before_t1_commit")
    failpoints.hit("unknown.after_t1")
    return dispatch_of(operation, attempt, kind=kind, by=actor)


def lock_open(
    *,
    tenant_id: str,
    attempt_id: uuid.UUID,
    now: dt.datetime,
    is_send: bool = False,
    caller_identity_hash: str = "",
) -> tuple[Operation, DispatchAttempt]:
    """Lock an attempt of unknown outcome that nobody works on; to send, every stop is asked as well."""
    controls = payout_facts.lock_controls(tenant_id=tenant_id, now=now) if is_send else None
    seen = queries.get(tenant_id=tenant_id, attempt_id=attempt_id)
    operation = operations.lock(
        tenant_id=tenant_id,
        provider_id=seen.operation.provider_id,
        operation_id=seen.operation.operation_id,
    )
    attempt = DispatchAttempt.objects.select_for_update().get(pk=attempt_id)
    if not attempt.is_open:
        raise AlreadyResolved(operation, attempt)
    if attempt.is_leased(now):
        if caller_identity_hash and attempt.caller_identity_hash == caller_identity_hash:
            raise IdempotencyInProgress()
        raise submit_conditions.SubmitInProgress(operation)
    if controls is not None:
        if now >= resolution.replay_deadline(attempt):
            raise ReplayWindowClosed(attempt)
        provider = providers.by_path(operation.provider_id)
        submit_conditions.require_sendable(provider, operation, controls, now=now)
    return operation, attempt


def dispatch_of(operation: Operation, attempt: DispatchAttempt, *, kind: CheckKind, by: Actor) -> Dispatch:
    """Make the leased attempt ready to go to the provider."""
    order = attempts.order_of(operation, idempotency_key=attempt.idempotency_key)
    return Dispatch(
        operation, attempt, order, is_doubtful=True, kind=kind, by=by,
        disowned=dispatch_checks.disowned(attempt),
    )  # fmt: skip


# --- Writing down what came of it ---------------------------------------------------------------------
def _find_out(opened: Dispatch, rail: Rail, *, now: dt.datetime) -> resolution.Finding:
    try:
        return resolution.find_out(opened, rail, now=now)
    except ProviderFailure as failure:
        dispatch.record_failure(opened, failure, is_counted=False, now=now)
        raise dispatch.refusal_for(failure, opened.operation) from failure


def _adopt(opened: Dispatch, transfer: Transfer, *, memory: Memory[Found], now: dt.datetime) -> Found:
    through = _Through(opened, memory, CheckOutcome.ADOPTED)
    submission.record(opened, transfer, actor=opened.by, memory=through, now=now, is_found=True)
    return through.answer()


def _leave_to_people(
    opened: Dispatch, finding: resolution.Indeterminate, *, memory: Memory[Found], now: dt.datetime
) -> Found:
    outcome = CheckOutcome.UNCLEAR if finding.found else CheckOutcome.NOTHING_FOUND
    kept = _Kept(opened, memory, outcome, text=finding.reason, found=finding.found)
    dispatch.give_up(
        opened, reason=finding.reason, observed_ref=finding.observed_ref, found=finding.found,
        also=kept.write, now=now,
    )  # fmt: skip
    return kept.answer()


class _Kept:
    """Writes the reply of an act that left the outcome unknown, in the transaction that says so."""

    def __init__(
        self,
        opened: Dispatch,
        memory: Memory[Found],
        outcome: CheckOutcome,
        *,
        text: str,
        found: tuple[Transfer, ...] = (),
    ) -> None:
        self.opened, self.memory, self.outcome = opened, memory, outcome
        self.text, self.found = text, found
        self.done: Found | None = None

    def write(self, operation: Operation, attempt: DispatchAttempt) -> None:
        """Called with both rows locked, if the lease still holds."""
        self.done = Found(operation, attempt, self.outcome, False, self.text, self.found)
        self.memory.keep(self.done)

    def answer(self) -> Found:
        """Give what was written; when somebody else had settled it by then, what they wrote."""
        return self.done or settled_meanwhile(self.opened)


class _Through:
    """Passes a submission's reply on as the act's."""

    identity_hash = ""

    def __init__(self, opened: Dispatch, memory: Memory[Found], outcome: CheckOutcome) -> None:
        self.opened, self.memory, self.outcome = opened, memory, outcome
        self.done: Found | None = None

    def recall(self) -> None:
        """The act has recalled already, before it leased the attempt."""

    def keep(self, result: Submission) -> None:
        """Called in T2, only when the attempt was still ours."""
        attempt = DispatchAttempt.objects.get(pk=self.opened.attempt.pk)
        self.done = Found(result.operation, attempt, self.outcome, True)
        self.memory.keep(self.done)

    def answer(self) -> Found:
        """Give what was written, or what an event had written before us."""
        return self.done or settled_meanwhile(self.opened)


def settled_meanwhile(opened: Dispatch) -> Found:
    """Tell how an attempt ended that was taken from us; raises SubmitInProgress when it has not ended."""
    seen = queries.get(tenant_id=opened.attempt.tenant_id, attempt_id=opened.attempt.pk)
    if seen.is_open:
        raise submit_conditions.SubmitInProgress(seen.operation)
    outcome = CheckOutcome.NOT_SENT if seen.status == "not_sent" else CheckOutcome.SENT
    return Found(seen.operation, seen, outcome, True, "it was settled while the provider was asked")
