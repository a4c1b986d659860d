"""Submit one initiated payout: write down, send, write down (spec 2.2 and 3.4)."""

import datetime as dt
import time
from dataclasses import dataclass
from typing import Any

from moneyrails import payout_limit, states
from moneyrails.models import DispatchAttempt, Operation
from moneyrails.queries import operations, payout_facts
from moneyrails.rails import manual, providers, sandbox
from moneyrails.rails import stripe as stripe_rail
from moneyrails.rails.base import Rail, Transfer
from moneyrails.rails.providers import Provider
from moneyrails.services import attempts, dispatch, dispatch_checks, resolution, surplus_transfers
from moneyrails.services.dispatch import Dispatch
from moneyrails.services.replies import Memory, NoMemory
from moneyrails.services.submit_conditions import (
    SubmitIndeterminate,
    SubmitInProgress,
    TwinIsSending,
    require_free,
    require_not_called_off,
    require_payout,
    require_sendable,
)
from settld.core import clock, failpoints, transactions
from settld.core.capabilities import capability
from settld.core.principals import Actor
from settld.idempotency.services.records import IdempotencyInProgress
from settld.stripe_gateway.outcomes import ProviderFailure

WAIT_FOR_TWIN_SECONDS = 10.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Submission:
    """The answer to a submit."""

    operation: Operation
    applied: bool
    reason: str | None = None
    provider_submission: dict[str, Any] | None = None


@capability("payouts.submit")
def submit(
    *,
    tenant_id: str,
    provider_id: str,
    operation_id: str,
    provider_ref: str = "",
    actor: Actor,
    now: dt.datetime,
    memory: Memory[Submission] | None = None,
    rail: Rail | None = None,
) -> Submission:
    """Send one initiated payout and record the transfer it made; never two.

    Raises Conflicts, or the refusal of the tenant's plan: nothing was sent. SubmitFailed or
    InvalidResponse: the operation stays initiated, and its attempt says whether money may have moved.
    Replayed: the caller's key has a reply. Must not run inside a transaction.
    """
    transactions.require_no_transaction()
    memory = memory or NoMemory()
    provider = providers.by_path(provider_id)
    with payout_limit.counted(tenant_id=tenant_id, operation_id=operation_id, now=now) as use:
        opened = _open_when_alone(
            provider, tenant_id=tenant_id, operation_id=operation_id, provider_ref=provider_ref,
            actor=actor, memory=memory, now=now,
        )  # fmt: skip
        if isinstance(opened, Submission):
            use.ended(was_recorded=opened.applied)
            return opened
        use.goes_out(had_doubt=opened.is_doubtful)
        done = carry_out(opened, rail or stripe_rail.StripeRail(), actor=actor, memory=memory, now=now)
        use.ended(was_recorded=done.applied)
    return done


def _open_when_alone(
    provider: Provider,
    *,
    tenant_id: str,
    operation_id: str,
    provider_ref: str,
    actor: Actor,
    memory: Memory[Submission],
    now: dt.datetime,
) -> Submission | Dispatch:
    """T1; while a request with our own key is at the provider, wait for its reply, ten seconds at most."""
    deadline = time.monotonic() + WAIT_FOR_TWIN_SECONDS
    while True:
        try:
            failpoints.hit("submit.before_t1")
            with transactions.atomic(durable=True):
                opened = _open(
                    provider, tenant_id=tenant_id, operation_id=operation_id, provider_ref=provider_ref,
                    actor=actor, memory=memory, now=now,
                )  # fmt: skip
                failpoints.hit("submit.before_t1_commit")
            failpoints.hit("submit.after_t1")
            return opened
        except TwinIsSending:
            if time.monotonic() >= deadline:
                raise IdempotencyInProgress() from None
            time.sleep(POLL_SECONDS)


def _open(
    provider: Provider,
    *,
    tenant_id: str,
    operation_id: str,
    provider_ref: str,
    actor: Actor,
    memory: Memory[Submission],
    now: dt.datetime,
) -> Submission | Dispatch:
    """Lock, ask every condition again, and open the attempt; a rail without a call is done here."""
    memory.recall()
    controls = payout_facts.lock_controls(tenant_id=tenant_id, now=now)
    operation = operations.lock(
        tenant_id=tenant_id, provider_id=provider.provider_id, operation_id=operation_id
    )
    require_payout(operation)
    if operation.state in states.LEFT_US:
        memory.recall()  # our twin may have stored its reply while we waited for the row
        done = Submission(operation, applied=False, reason="already_submitted")
        memory.keep(done)
        return done
    require_not_called_off(operation)
    require_sendable(provider, operation, controls, now=now)
    latest = operations.lock_latest_attempt(operation)
    require_free(operation, latest, caller_identity_hash=memory.identity_hash, now=now)
    if not (provider.is_production and provider.is_stripe):
        return _record_without_call(
            provider, operation, latest, provider_ref=provider_ref, actor=actor, memory=memory, now=now
        )
    if latest is not None and latest.is_open:
        attempts.take_over(latest, now=now, caller_identity_hash=memory.identity_hash)
        return _dispatch(operation, latest, is_doubtful=True, by=actor)
    attempt = attempts.open_attempt(
        operation, latest, actor=actor, caller_identity_hash=memory.identity_hash, now=now
    )
    # After a person's finding of "not sent" nobody knows as surely as the provider: look before sending.
    is_doubtful = surplus_transfers.last_not_sent(operation, before=attempt.attempt) is not None
    return _dispatch(operation, attempt, is_doubtful=is_doubtful, by=actor)


def _record_without_call(
    provider: Provider,
    operation: Operation,
    latest: DispatchAttempt | None,
    *,
    provider_ref: str,
    actor: Actor,
    memory: Memory[Submission],
    now: dt.datetime,
) -> Submission:
    """Sandbox and manual payments: no network, so one transaction tells the whole story."""
    submission: dict[str, Any] = {"providerId": provider.provider_id, "mode": provider.mode}
    if provider.is_production:
        transfer_id = manual.transfer_id(
            provider_id=provider.provider_id, operation_id=operation.operation_id, provider_ref=provider_ref
        )
        submission |= {"transferId": transfer_id, "manual": True}
    else:
        transfer_id = sandbox.transfer_id(operation_id=operation.operation_id, provider_ref=provider_ref)
        submission |= {"transferId": transfer_id, "simulated": True}
    attempts.record_instant(
        operation, latest, transfer_id=transfer_id, actor=actor,
        caller_identity_hash=memory.identity_hash, now=now,
    )  # fmt: skip
    dispatch.enter_submitted(operation, provider_ref=transfer_id, mode=provider.mode, actor=actor, now=now)
    done = Submission(operation, applied=True, provider_submission=submission)
    memory.keep(done)
    return done


def _dispatch(operation: Operation, attempt: DispatchAttempt, *, is_doubtful: bool, by: Actor) -> Dispatch:
    order = attempts.order_of(operation, idempotency_key=attempt.idempotency_key)
    disowned = dispatch_checks.disowned(attempt)
    return Dispatch(operation, attempt, order, is_doubtful=is_doubtful, by=by, disowned=disowned)


def carry_out(
    opened: Dispatch, rail: Rail, *, actor: Actor, memory: Memory[Submission], now: dt.datetime
) -> Submission:
    """Go to the provider, no transaction open: first ask what it has when there is a doubt, then send."""
    if not opened.is_doubtful:
        return send(opened, rail, actor=actor, memory=memory, now=now)
    try:
        finding = resolution.find_out(opened, rail, now=now)
    except ProviderFailure as failure:
        dispatch.record_failure(opened, failure, now=now)
        raise dispatch.refusal_for(failure, opened.operation) from failure
    if isinstance(finding, resolution.Indeterminate):
        dispatch.give_up(
            opened, reason=finding.reason, observed_ref=finding.observed_ref, found=finding.found, now=now
        )
        raise SubmitIndeterminate(opened.operation, opened.attempt)
    if isinstance(finding, resolution.Sent):
        return record(opened, finding.transfer, actor=actor, memory=memory, now=now, is_found=True)
    return send(opened, rail, actor=actor, memory=memory, now=now)


def send(
    opened: Dispatch, rail: Rail, *, actor: Actor, memory: Memory[Submission], now: dt.datetime
) -> Submission:
    """Send with the attempt's key and write down what the provider said."""
    if not opened.is_fresh():
        dispatch.stay_in_doubt(opened, reason="too little of the lease was left to send", now=now)
        raise SubmitInProgress(opened.operation)
    failpoints.hit("submit.before_call")
    try:
        transfer = rail.create_transfer(opened.order)
    except ProviderFailure as failure:
        dispatch.record_failure(opened, failure, now=now)
        raise dispatch.refusal_for(failure, opened.operation) from failure
    failpoints.hit("submit.after_call")
    if not transfer.matches(opened.order):
        dispatch.record_difference(opened, transfer, now=now)
        raise dispatch.InvalidResponse(
            details={
                "operationId": opened.operation.operation_id,
                "providerId": opened.operation.provider_id,
            }
        )
    return record(opened, transfer, actor=actor, memory=memory, now=now)


def record(
    opened: Dispatch,
    transfer: Transfer,
    *,
    actor: Actor,
    memory: Memory[Submission],
    now: dt.datetime,
    is_found: bool = False,
) -> Submission:
    """T2: attempt, state, movement, audit and reply together."""
    provider_submission = {
        "providerId": opened.operation.provider_id,
        "mode": opened.operation.provider_mode,
        "transferId": transfer.transfer_id,
        "destinationAccountId": transfer.destination,
        "amountCents": transfer.amount_cents,
        "currency": transfer.currency,
        "createdAt": clock.iso(transfer.created_at),
    }
    failpoints.hit("submit.before_t2")
    try:
        with transactions.atomic(durable=True):
            recorded = dispatch.record_transfer(
                opened, transfer, mode=opened.operation.provider_mode, actor=actor, now=now, is_found=is_found
            )
            done = Submission(recorded.operation, recorded.is_ours, provider_submission=provider_submission)
            has_left = recorded.operation.state in states.LEFT_US
            if not recorded.is_ours:
                done = Submission(recorded.operation, applied=False, reason="already_submitted")
            else:
                memory.keep(done)
            failpoints.hit("submit.before_t2_commit")
    except dispatch.ProviderRefConflict:
        dispatch.give_up(
            opened,
            reason="the transfer's id is already recorded for another operation",
            observed_ref=transfer.transfer_id,
            now=now,
        )
        raise
    failpoints.hit("submit.after_t2")
    if opened.kind != states.CheckKind.SEND and done.applied:  # a submit counts its payout itself
        payout_limit.note_left(
            tenant_id=recorded.operation.tenant_id, operation_id=recorded.operation.operation_id, now=now
        )
    if not has_left:  # somebody took the attempt over; what we saw is kept, the end is theirs
        raise SubmitInProgress(recorded.operation)
    return done
