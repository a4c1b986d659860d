"""Settling an unknown outcome by evidence: sent, or not sent (spec 3.4 step 6).

A second person decides, with a reason. The provider is asked first, and what it answers outweighs what a
person believes; only where it cannot be asked do their words stand alone.
"""

import datetime as dt
import re
import uuid
from dataclasses import dataclass
from typing import Final

from django.db import IntegrityError

from moneyrails.models import DispatchAttempt, Operation
from moneyrails.rails import stripe as stripe_rail
from moneyrails.rails.base import Rail, Transfer
from moneyrails.services import attempts, dispatch, dispatch_checks, resolution, surplus_transfers
from moneyrails.services.dispatch import Dispatch, ProviderRefConflict
from moneyrails.services.replies import Memory, NoMemory
from moneyrails.services.unknown_outcomes import AlreadyResolved, Found, dispatch_of, lock_open
from moneyrails.states import AttemptStatus, CheckKind, CheckOutcome
from settld.core import clock, failpoints, transactions
from settld.core.errors import Conflict, Invalid, Refusal
from settld.core.principals import Actor
from settld.stripe_gateway.outcomes import ProviderFailure
from settld.tenants.services import hands
from settld.tenants.services.hands import Hands

SENT: Final = "sent"
NOT_SENT: Final = "not_sent"
MOST_REASON: Final = 500
MOST_EVIDENCE: Final = 4000
TRANSFER_ID = re.compile(r"tr_[A-Za-z0-9_]{1,200}")


class SecondPersonRequired(Refusal):
    """Whoever submitted may not settle, nor may anybody who can act as who submitted."""

    status = 403
    code = "MONEY_RAIL_SECOND_PERSON_REQUIRED"
    message = "an outcome is settled by a second person: whoever submitted the payout cannot settle it"


class PersonRequired(Refusal):
    """No person is known behind the credential."""

    status = 403
    code = "MONEY_RAIL_PERSON_REQUIRED"
    message = "only a known person settles an outcome: log in, or use an API key that a person has made"


class StillInDoubt(Conflict):
    """The provider still remembers the key, so the outcome can be had without anybody's word."""

    code = "MONEY_RAIL_DISPATCH_STILL_IN_DOUBT"
    message = "ask the provider or replay first: until the replay deadline the provider itself can tell"


class EvidenceRequired(Conflict):
    """The provider could not be asked, or lists something else, so the evidence has to be written down."""

    code = "MONEY_RAIL_EVIDENCE_REQUIRED"
    message = "the provider does not prove this; say in evidence what does"


class EvidenceRefuted(Conflict):
    """The provider's records say otherwise; nothing was settled."""

    code = "MONEY_RAIL_EVIDENCE_REFUTED"
    message = "the provider's records contradict this settlement"


@dataclass(frozen=True)
class Verdict:
    """What a person found: which way it went, by which transfer, why, and what shows it."""

    outcome: str
    reason: str
    transfer_id: str = ""
    evidence: str = ""


@dataclass(frozen=True)
class Seen:
    """What the provider answered: its list and the transfer that was named, or why it could not be asked."""

    listed: tuple[Transfer, ...] = ()
    named: Transfer | None = None
    failure: ProviderFailure | None = None
    is_asked: bool = True

    @property
    def all(self) -> tuple[Transfer, ...]:
        """Give every transfer once."""
        more = (self.named,) if self.named and self.named not in self.listed else ()
        return (*self.listed, *more)


def settle(
    *,
    tenant_id: str,
    attempt_id: uuid.UUID,
    verdict: Verdict,
    actor: Actor,
    now: dt.datetime,
    memory: Memory[Found] | None = None,
    rail: Rail | None = None,
) -> Found:
    """Settle an attempt as sent, with its transfer, or as not sent, which permits the next attempt.

    Raises SecondPersonRequired, PersonRequired, StillInDoubt, AlreadyResolved, SubmitInProgress,
    EvidenceRequired, EvidenceRefuted, ProviderRefConflict: nothing is settled. Replayed.
    """
    transactions.require_no_transaction()
    memory = memory or NoMemory()
    _require_complete(verdict)
    opened, who = _open(tenant_id=tenant_id, attempt_id=attempt_id, verdict=verdict, actor=actor,
                        memory=memory, now=now)  # fmt: skip
    seen = _ask(opened, rail, verdict)
    try:
        _require_consistent(opened, verdict, seen)
        return _record(opened, verdict, seen, who=who, memory=memory, now=now)
    except IntegrityError as error:
        _give_back(opened, seen, remark="the database refused who settles", now=now)
        if "attempt_resolved_by" in str(error):
            raise SecondPersonRequired() from error
        raise
    except (EvidenceRequired, EvidenceRefuted, ProviderRefConflict) as refusal:
        _give_back(
            opened, seen, remark=f"{refusal.code}: {verdict.outcome} {verdict.transfer_id}".strip(), now=now
        )
        raise


def require_second_person(attempt: DispatchAttempt, *, actor: Actor) -> Hands:
    """Refuse who may be the submitter, or whom no person is known to be; gives who it is."""
    who = hands.of(tenant_id=attempt.tenant_id, actor=actor)
    submitter = hands.behind(tenant_id=attempt.tenant_id, principal_id=attempt.submitted_by)
    details = {"attempt": attempt.attempt, "submittedBy": attempt.submitted_by}
    if who.touch(submitter.names):
        raise SecondPersonRequired(details=details)
    if not who.user_ids:
        raise PersonRequired(details=details)
    return who


def require_due(attempt: DispatchAttempt, *, now: dt.datetime) -> None:
    """Refuse a finding of "not sent" while the provider itself can still be made to tell."""
    deadline = resolution.replay_deadline(attempt)
    if attempt.status != AttemptStatus.INDETERMINATE and now < deadline:
        raise StillInDoubt(details={"attempt": attempt.attempt, "replayDeadlineAt": clock.iso(deadline)})


# --- Before the provider is asked ----------------------------------------------------------------------
def _require_complete(verdict: Verdict) -> None:
    if verdict.outcome not in (SENT, NOT_SENT):
        raise Invalid("outcome must be sent or not_sent")
    if not verdict.reason.strip():
        raise Invalid("reason is required")
    if len(verdict.reason) > MOST_REASON or len(verdict.evidence) > MOST_EVIDENCE:
        raise Invalid(f"reason has at most {MOST_REASON} characters, evidence {MOST_EVIDENCE}")
    if verdict.outcome == SENT and not TRANSFER_ID.fullmatch(verdict.transfer_id):
        raise Invalid("transferId is required, as tr_...")
    if verdict.outcome == NOT_SENT and verdict.transfer_id:
        raise Invalid("transferId belongs to an outcome of sent")


def _open(
    *,
    tenant_id: str,
    attempt_id: uuid.UUID,
    verdict: Verdict,
    actor: Actor,
    memory: Memory[Found],
    now: dt.datetime,
) -> tuple[Dispatch, Hands]:
    """Lease the attempt, so that nobody sends while we decide that nothing was sent."""
    failpoints.hit("settle.before_t1")
    with transactions.atomic(durable=True):
        memory.recall()
        operation, attempt = lock_open(
            tenant_id=tenant_id, attempt_id=attempt_id, now=now, caller_identity_hash=memory.identity_hash
        )
        who = require_second_person(attempt, actor=actor)
        if verdict.outcome == NOT_SENT:
            require_due(attempt, now=now)
        attempts.hold(attempt, now=now, caller_identity_hash=memory.identity_hash)
        failpoints.hit("settle.before_t1_commit")
    failpoints.hit("settle.after_t1")
    return dispatch_of(operation, attempt, kind=CheckKind.SETTLE, by=actor), who


# --- What the provider says -------------------------------------------------------------------------
def _ask(opened: Dispatch, rail: Rail | None, verdict: Verdict) -> Seen:
    """List what the provider has and look up the transfer that was named; no transaction is open."""
    if rail is None and not stripe_rail.is_configured():
        return Seen(is_asked=False)
    rail = rail or stripe_rail.StripeRail()
    failpoints.hit("settle.before_list")
    try:
        listed = [t for t in rail.find_transfers(opened.order) if t.transfer_id not in opened.disowned]
        named = rail.retrieve_transfer(verdict.transfer_id) if verdict.transfer_id else None
    except ProviderFailure as failure:
        return Seen(failure=failure, is_asked=False)
    failpoints.hit("settle.after_list")
    return Seen(tuple(listed), named)


def _require_consistent(opened: Dispatch, verdict: Verdict, seen: Seen) -> None:
    """Hold the finding against what the provider has; evidence in words only fills what it leaves open."""
    if seen.is_asked and verdict.outcome == SENT:
        _require_ours(opened, verdict, seen.named)
        return
    ours = [transfer.transfer_id for transfer in seen.listed if transfer.matches(opened.order)]
    if ours:
        raise EvidenceRefuted(
            details={"problem": "the provider has the transfer of this payout", "transferIds": sorted(ours)}
        )
    is_open = not seen.is_asked or bool(seen.listed) or bool(opened.attempt.observed_ref)
    if is_open and not verdict.evidence.strip():
        error = dict(seen.failure.error) if seen.failure else None
        listed = [dispatch_checks.shown(transfer) for transfer in seen.listed]
        raise EvidenceRequired(
            details={"wasAsked": seen.is_asked, "providerError": error, "transfers": listed}
        )


def _require_ours(opened: Dispatch, verdict: Verdict, named: Transfer | None) -> None:
    order = opened.order
    details = {"transferId": verdict.transfer_id, "operationId": order.operation_id}
    if named is None:
        raise EvidenceRefuted(details=details | {"problem": "the provider has no such transfer"})
    if named.operation_id != order.operation_id:
        raise EvidenceRefuted(details=details | {"problem": "the transfer belongs to another payout"})
    if not named.matches(order):
        raise EvidenceRefuted(
            details=details
            | {
                "problem": "amount, currency or destination differs",
                "transfer": dispatch_checks.shown(named),
                "expected": {
                    "amountCents": order.amount_cents,
                    "currency": order.currency,
                    "destination": order.destination,
                },
            }
        )


# --- Writing it down --------------------------------------------------------------------------------
def _record(
    opened: Dispatch, verdict: Verdict, seen: Seen, *, who: Hands, memory: Memory[Found], now: dt.datetime
) -> Found:
    """Close the attempt, and with it move the operation or leave it to the next attempt: one transaction."""
    failpoints.hit("settle.before_t2")
    with transactions.atomic(durable=True):
        operation, attempt = dispatch.lock(opened)
        if not attempts.is_held(attempt, token=opened.attempt.lease_token):
            raise AlreadyResolved(operation, attempt)
        is_sent = verdict.outcome == SENT
        status = AttemptStatus.SUCCEEDED if is_sent else AttemptStatus.NOT_SENT
        attempts.settle(
            attempt, status, resolver=who, reason=verdict.reason.strip(), evidence=verdict.evidence.strip(),
            observed_ref=verdict.transfer_id, now=now,
        )  # fmt: skip
        outcome = CheckOutcome.SENT if is_sent else CheckOutcome.NOT_SENT
        _note(operation, attempt, opened, verdict, seen, outcome=outcome, now=now)
        if is_sent:
            _enter_submitted(operation, attempt, opened, verdict, seen, now=now)
        done = Found(operation, attempt, outcome, True, verdict.reason, seen.all)
        memory.keep(done)
        failpoints.hit("settle.before_t2_commit")
    failpoints.hit("settle.after_t2")
    return done


def _enter_submitted(
    operation: Operation,
    attempt: DispatchAttempt,
    opened: Dispatch,
    verdict: Verdict,
    seen: Seen,
    *,
    now: dt.datetime,
) -> None:
    if operation.provider_ref and operation.provider_ref != verdict.transfer_id:
        raise ProviderRefConflict("the operation has another provider reference")
    dispatch.enter_submitted(
        operation, provider_ref=verdict.transfer_id, mode=operation.provider_mode, actor=opened.by, now=now
    )
    for transfer in seen.listed:
        if transfer.transfer_id != verdict.transfer_id:
            surplus_transfers.note_second(operation, attempt, transfer_id=transfer.transfer_id, now=now)


def _note(
    operation: Operation,
    attempt: DispatchAttempt,
    opened: Dispatch,
    verdict: Verdict,
    seen: Seen,
    *,
    outcome: CheckOutcome,
    now: dt.datetime,
) -> None:
    dispatch_checks.note(
        operation,
        attempt,
        kind=CheckKind.SETTLE,
        outcome=outcome,
        by=opened.by,
        found=seen.all if seen.is_asked else None,
        error=dict(seen.failure.error) if seen.failure else None,
        remark=verdict.reason.strip(),
        details={
            "status": str(attempt.status),
            "transferId": verdict.transfer_id or None,
            "reason": verdict.reason.strip(),
            "evidence": verdict.evidence.strip() or None,
            "submittedBy": attempt.submitted_by,
            "providerAsked": seen.is_asked,
        },
        now=now,
    )


def _give_back(opened: Dispatch, seen: Seen, *, remark: str, now: dt.datetime) -> None:
    """End our lease on an attempt that we did not settle, and keep what the provider showed us."""
    with transactions.atomic(durable=True):
        operation, attempt = dispatch.lock(opened)
        dispatch_checks.note(
            operation, attempt, kind=CheckKind.SETTLE, outcome=CheckOutcome.REFUTED, by=opened.by,
            found=seen.all if seen.is_asked else None,
            error=dict(seen.failure.error) if seen.failure else None, remark=remark, now=now,
        )  # fmt: skip
        if attempts.is_held(attempt, token=opened.attempt.lease_token):
            attempts.close(attempt, AttemptStatus(attempt.status), now=now, is_counted=False)


__all__ = [
    "EvidenceRefuted",
    "EvidenceRequired",
    "PersonRequired",
    "SecondPersonRequired",
    "StillInDoubt",
    "Verdict",
    "require_due",
    "require_second_person",
    "settle",
]
