"""A request for a payout, what came of it, and what a repeat of it is answered with (spec 2.1 steps 6, 7)."""

from dataclasses import dataclass
from typing import Any

from moneyrails.models import Operation
from moneyrails.queries import payout_facts
from moneyrails.rails.providers import Provider
from moneyrails.states import OutcomeKind
from settld.core.errors import Conflict

# The members of an answer's `chargeback`, in their order; the database keeps them in one of its own.
CONTEXT = (
    "policyEnabled",
    "negativeBalanceMode",
    "outstandingBeforeCents",
    "recoveryAppliedCents",
    "outstandingAfterCents",
    "payoutAmountGrossCents",
    "payoutAmountNetCents",
)


class PeriodConflict(Conflict):
    """Another statement of the same party and period is being paid, or was."""

    code = "PAYOUT_PERIOD_CONFLICT"
    message = "another payout of this party and period exists"

    def __init__(self, request: "Request", operation_id: str | None) -> None:
        super().__init__(
            details={
                "partyId": request.party_id,
                "period": request.period,
                "existingOperationId": operation_id,
            }
        )


class RepeatDiffers(Conflict):
    """The payout key has an outcome that another request asked for."""

    message = "money rail operation rejected"

    def __init__(self, code: str, problem: str) -> None:
        super().__init__(code=code, details={"message": problem, "code": code})


@dataclass(frozen=True)
class Request:
    """What the caller asked for; empty texts are absent."""

    tenant_id: str
    party_id: str
    period: str
    provider: Provider
    counterparty_ref: str


@dataclass(frozen=True)
class Enqueued:
    """What became of the request: an operation, a full offset, or nothing to pay."""

    operation: Operation | None = None
    payout: dict[str, Any] | None = None
    chargeback: dict[str, Any] | None = None
    is_offset: bool = False


def replayed(request: Request, payout_key: str) -> Enqueued:
    """Step 6: answer a repeat with what was recorded, if it asks for the same."""
    outcome = payout_facts.outcome(tenant_id=request.tenant_id, payout_key=payout_key)
    if outcome is None:
        raise RuntimeError("the outcome of a payout key cannot vanish")
    if outcome.provider_id != request.provider.provider_id:
        raise RepeatDiffers(
            "MONEY_RAIL_OPERATION_CONFLICT", "the payout exists with another money rail provider"
        )
    if request.counterparty_ref not in (outcome.requested_counterparty_ref, outcome.counterparty_ref):
        raise RepeatDiffers(
            "MONEY_RAIL_IDEMPOTENCY_CONFLICT", "the payout exists with another counterpartyRef"
        )
    return Enqueued(
        operation=outcome.operation,
        payout=outcome.response["payout"],
        chargeback=_in_order(outcome.response["chargeback"]),
        is_offset=outcome.kind == OutcomeKind.OFFSET,
    )


def _in_order(context: dict[str, Any]) -> dict[str, Any]:
    return {name: context[name] for name in CONTEXT}
