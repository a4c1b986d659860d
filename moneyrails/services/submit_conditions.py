"""What must hold for a payout to be sent, asked when it is submitted and when it is recovered (spec 2.2)."""

import datetime as dt

from moneyrails import states
from moneyrails.models import DispatchAttempt, MoneyRailControls, Operation
from moneyrails.queries import connect
from moneyrails.rails import stripe as stripe_rail
from moneyrails.rails.providers import Provider
from moneyrails.services import gates
from moneyrails.states import AttemptStatus
from settld.core.errors import Conflict


class DirectionUnsupported(Conflict):
    """Only payouts are submitted."""

    code = "MONEY_RAIL_SUBMIT_DIRECTION_UNSUPPORTED"
    message = "only payout operations can be submitted"


class InvalidState(Conflict):
    """The operation was called off."""

    code = "MONEY_RAIL_SUBMIT_INVALID_STATE"
    message = "money rail operation cannot be submitted"


class ModeChanged(Conflict):
    """The provider's mode is no longer the one that the operation was counted and checked under."""

    code = "MONEY_RAIL_PROVIDER_MODE_CHANGED"
    message = "the money rail provider's mode has changed since the payout was enqueued"


class ConnectCounterpartyRequired(Conflict):
    """Stripe pays connected accounts only."""

    code = "STRIPE_CONNECT_COUNTERPARTY_REQUIRED"
    message = "a stripe connect counterparty is required"


class SecretKeyRequired(Conflict):
    """There is no key to call Stripe with."""

    code = "STRIPE_SECRET_KEY_REQUIRED"
    message = "stripe secret key is required"


class SubmitInProgress(Conflict):
    """Somebody is sending this payout now; nothing was sent by this request."""

    code = "MONEY_RAIL_SUBMIT_IN_PROGRESS"
    message = "money rail payout submit is in progress"

    def __init__(self, operation: Operation) -> None:
        super().__init__(details={"operationId": operation.operation_id}, headers={"retry-after": "2"})


class SubmitIndeterminate(Conflict):
    """Whether the money left is unknown and only a person can find out; nothing was sent."""

    code = "MONEY_RAIL_SUBMIT_INDETERMINATE"
    message = "the outcome of an earlier submit is indeterminate"

    def __init__(self, operation: Operation, attempt: DispatchAttempt) -> None:
        super().__init__(details={"operationId": operation.operation_id, "attempt": attempt.attempt})


class TwinIsSending(Exception):
    """A request with our own idempotency identity is at the provider; its reply is ours to replay."""


def require_payout(operation: Operation) -> None:
    """Refuse what is no payout."""
    if operation.direction != "payout":
        raise DirectionUnsupported(
            details={"operationId": operation.operation_id, "direction": operation.direction}
        )


def require_not_called_off(operation: Operation) -> None:
    """Refuse what failed or was cancelled."""
    if operation.state in states.CALLED_OFF:
        raise InvalidState(details={"operationId": operation.operation_id, "state": operation.state})


def require_sendable(
    provider: Provider, operation: Operation, controls: MoneyRailControls, *, now: dt.datetime
) -> None:
    """Ask the stops and the destination again: what was allowed at enqueue may not be now."""
    case = gates.Case(provider=provider, controls=controls, now=now, party_id=operation.party_id)
    gates.require(case, gates.STOPS)
    if provider.mode != operation.provider_mode:
        raise ModeChanged(
            details={
                "operationId": operation.operation_id,
                "operationMode": operation.provider_mode,
                "providerMode": provider.mode,
            }
        )
    if not (provider.is_production and provider.is_stripe):
        return
    if stripe_rail.destination_of(operation.counterparty_ref) is None:
        raise ConnectCounterpartyRequired(
            details={"operationId": operation.operation_id, "counterpartyRef": operation.counterparty_ref}
        )
    if case.needs_account and not connect.is_payable(
        tenant_id=operation.tenant_id,
        counterparty_ref=operation.counterparty_ref,
        party_id=operation.party_id,
        now=now,
        hold=True,
    ):
        raise gates.ConnectAccountRequired(
            details={"providerId": provider.provider_id, "partyId": operation.party_id}
        )
    if not stripe_rail.is_configured():
        raise SecretKeyRequired(details={"providerId": provider.provider_id})


def require_free(
    operation: Operation, latest: DispatchAttempt | None, *, caller_identity_hash: str, now: dt.datetime
) -> None:
    """Refuse while somebody else works on the payout, or when only a person can go on."""
    if latest is None or not latest.is_open:
        return
    if latest.status == AttemptStatus.INDETERMINATE:
        raise SubmitIndeterminate(operation, latest)
    if latest.is_leased(now):
        if caller_identity_hash and latest.caller_identity_hash == caller_identity_hash:
            raise TwinIsSending
        raise SubmitInProgress(operation)
