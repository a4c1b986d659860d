"""Doubtful attempts to work on, made by our own verbs over a rail that breaks as told."""

import datetime as dt
from typing import Any

import pytest

from moneyrails.models import DispatchAttempt, DispatchCheck, Operation
from moneyrails.rails.base import Transfer
from moneyrails.services import settling, submission, unknown_outcomes
from moneyrails.services.dispatch import SubmitFailed
from moneyrails.services.settling import Verdict
from moneyrails.services.submit_conditions import SubmitIndeterminate
from settld.audit.models import OpsAudit
from settld.core.principals import Actor
from settld.stripe_gateway.outcomes import ProviderInDoubt
from tests.support.factories import ACTOR, NOW, RecordingRail, key_of

SECOND = Actor(principal_id="person:2", request_id="req_second")
HOUR = dt.timedelta(hours=1)
DEADLINE = NOW + 23 * HOUR
LATE = NOW + 24 * HOUR
LATER = NOW + dt.timedelta(minutes=5)


def lost() -> ProviderInDoubt:
    """A call that nobody knows the end of."""
    error: Any = {
        "message": "the line broke", "provider": "stripe", "category": "network_error", "retryable": True,
        "httpStatus": None, "providerCode": None, "providerType": None, "providerRequestId": "req_stripe_1",
        "endpoint": "/v1/transfers", "attempt": 3, "maxAttempts": 3, "circuitOpenUntil": None,
    }  # fmt: skip
    return ProviderInDoubt(error)


class DeadRail(RecordingRail):
    """A provider that cannot be asked."""

    def find_transfers(self, order: Any) -> Any:
        raise lost()

    def retrieve_transfer(self, transfer_id: str) -> Any:
        raise lost()


def in_doubt(
    world: Any, rail: RecordingRail, *, is_made: bool = False, party: str = "party1"
) -> DispatchAttempt:
    """An attempt whose answer was lost, before or after the provider made the transfer."""
    operation = world.real_payout(party)
    (rail.after if is_made else rail.before).append(lost())
    with pytest.raises(SubmitFailed):
        submission.submit(**key_of(operation), actor=ACTOR, now=NOW, rail=rail)
    return DispatchAttempt.objects.get(operation=operation)


def indeterminate(world: Any, rail: RecordingRail, **more: Any) -> DispatchAttempt:
    """An attempt that only a person can settle: the provider has nothing, and its memory is over."""
    attempt = in_doubt(world, rail, **more)
    with pytest.raises(SubmitIndeterminate):
        submission.submit(**key_of(attempt.operation), actor=ACTOR, now=LATE, rail=rail)
    return fresh(attempt)


def fresh(attempt: DispatchAttempt) -> DispatchAttempt:
    return DispatchAttempt.objects.select_related("operation").get(pk=attempt.pk)


def state_of(attempt: DispatchAttempt) -> tuple[str, str]:
    row = fresh(attempt)
    return row.status, row.operation.state


def stranger(rail: RecordingRail, operation: Operation, **changes: Any) -> Transfer:
    """A transfer that the provider lists for an operation, made past us."""
    values: dict[str, Any] = {
        "transfer_id": "tr_stranger", "amount_cents": operation.amount_cents, "currency": "usd",
        "destination": "acct_party1", "operation_id": operation.operation_id, "created_at": NOW,
    }  # fmt: skip
    transfer = Transfer(**{**values, **changes})
    rail.made[transfer.transfer_id] = transfer
    return transfer


def ask(attempt: DispatchAttempt, rail: RecordingRail, *, now: dt.datetime = LATER, **more: Any) -> Any:
    more.setdefault("actor", SECOND)
    return unknown_outcomes.ask(
        tenant_id=attempt.tenant_id, attempt_id=attempt.pk, now=now, rail=rail, **more
    )


def replay(attempt: DispatchAttempt, rail: RecordingRail, *, now: dt.datetime = LATER, **more: Any) -> Any:
    more.setdefault("actor", SECOND)
    return unknown_outcomes.replay(
        tenant_id=attempt.tenant_id, attempt_id=attempt.pk, now=now, rail=rail, **more
    )


def settle(
    attempt: DispatchAttempt,
    rail: RecordingRail,
    outcome: str,
    *,
    transfer_id: str = "",
    evidence: str = "",
    reason: str = "dashboard looked at by two",
    actor: Actor = SECOND,
    now: dt.datetime = LATE,
    **more: Any,
) -> Any:
    verdict = Verdict(outcome, reason, transfer_id, evidence)
    return settling.settle(
        tenant_id=attempt.tenant_id, attempt_id=attempt.pk, verdict=verdict, actor=actor, now=now, rail=rail,
        **more,
    )  # fmt: skip


def audits(action: str) -> list[dict[str, Any]]:
    return [row.details for row in OpsAudit.objects.filter(action=action).order_by("id")]


def looks(attempt: DispatchAttempt) -> list[tuple[str, str]]:
    rows = DispatchCheck.objects.filter(attempt=attempt).order_by("checked_at", "id")
    return [(row.kind, row.outcome) for row in rows]
