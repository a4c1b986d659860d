"""The states of an operation and of a dispatch attempt, and the moves between them (spec 3.1, 3.4)."""

from typing import Final

from django.db.models import TextChoices


class OperationState(TextChoices):
    """Where one intended movement stands."""

    INITIATED = "initiated"
    SUBMITTED = "submitted"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REVERSED = "reversed"


MOVES: Final[dict[str, frozenset[str]]] = {
    "initiated": frozenset({"submitted", "failed", "cancelled"}),
    "submitted": frozenset({"confirmed", "failed", "cancelled"}),
    "confirmed": frozenset({"reversed"}),
    "failed": frozenset(),
    "cancelled": frozenset(),
    "reversed": frozenset(),
}
EXPOSED: Final = frozenset({"initiated", "submitted", "confirmed"})
LEFT_US: Final = frozenset({"submitted", "confirmed", "reversed"})
CALLED_OFF: Final = frozenset({"failed", "cancelled"})


class IllegalMove(ValueError):
    """The state machine has no such move."""


def require_move(current: str, target: str) -> None:
    """Let a legal move pass; staying in place is not a move, and terminal states have none."""
    if target not in MOVES.get(current, frozenset()):
        raise IllegalMove(f"cannot go from {current} to {target}")


class AttemptStatus(TextChoices):
    """What we know about one try to have the provider pay.

    `indeterminate` waits for a person; `retryable` was never executed and is used again; `not_sent` is a
    person's finding that the money never left.
    """

    DISPATCHING = "dispatching"
    IN_DOUBT = "in_doubt"
    INDETERMINATE = "indeterminate"
    RETRYABLE = "retryable"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    SUCCEEDED = "succeeded"


OPEN_ATTEMPT: Final = frozenset({"dispatching", "in_doubt", "indeterminate"})


class Direction(TextChoices):
    """Out of us, or into us."""

    PAYOUT = "payout"
    COLLECTION = "collection"


class ProviderMode(TextChoices):
    """Whether real money moves."""

    SANDBOX = "sandbox"
    PRODUCTION = "production"


class MovementKind(TextChoices):
    """Money that left, came back before it arrived, or was taken back afterwards."""

    TRANSFER = "transfer"
    RETURN = "return"
    REVERSAL = "reversal"


class EntryKind(TextChoices):
    """The four ways in which a party's debt changes (spec 4)."""

    REVERSAL = "reversal"
    RECOVERY = "recovery"
    RELEASE = "release"
    ADJUSTMENT = "adjustment"


class EventOutcome(TextChoices):
    """What a provider's event did to its operation."""

    APPLIED = "applied"
    NOOP = "noop"
    REJECTED = "rejected"


class OutcomeKind(TextChoices):
    """How a payout key ended: an operation, or earnings that went into a debt entirely."""

    OPERATION = "operation"
    OFFSET = "offset"


class BalanceMode(TextChoices):
    """What a debt does to the next payout."""

    HOLD = "hold"
    NET = "net"


class ApprovalStatus(TextChoices):
    """Where a change that needs a second person stands; everything but pending is its end."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"


class CheckKind(TextChoices):
    """How an attempt's outcome was looked for: by sending, by the loop, or by one of a person's acts."""

    SEND = "send"
    RECOVER = "recover"
    ASK = "ask"
    REPLAY = "replay"
    SETTLE = "settle"


class CheckOutcome(TextChoices):
    """What came of it; `refuted` is evidence that the provider contradicts."""

    ADOPTED = "adopted"
    SENT = "sent"
    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    NOT_EXECUTED = "not_executed"
    NO_ANSWER = "no_answer"
    NOTHING_FOUND = "nothing_found"
    UNCLEAR = "unclear"
    REFUTED = "refuted"
