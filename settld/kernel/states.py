"""The words and moves of the kernel's things."""

from typing import Final

from django.db import models


class AgentStatus(models.TextChoices):
    """Whether an agent may take on something new."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


class OwnerType(models.TextChoices):
    """Who stands behind an agent."""

    HUMAN = "human"
    BUSINESS = "business"
    SERVICE = "service"


class FundingSource(models.TextChoices):
    """Where money that enters a wallet comes from."""

    MANUAL = "manual"
    MONEY_RAIL = "money_rail"
    TEST_FUNDS = "test_funds"


class RunStatus(models.TextChoices):
    """Where a run stands; completed and failed are the ends."""

    CREATED = "created"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


RUN_ENDS: Final = (RunStatus.COMPLETED, RunStatus.FAILED)


class RunEventType(models.TextChoices):
    """What may happen to a run."""

    RUN_CREATED = "RUN_CREATED"
    RUN_STARTED = "RUN_STARTED"
    RUN_HEARTBEAT = "RUN_HEARTBEAT"
    EVIDENCE_ADDED = "EVIDENCE_ADDED"
    RUN_COMPLETED = "RUN_COMPLETED"
    RUN_FAILED = "RUN_FAILED"


class SettlementStatus(models.TextChoices):
    """Where the money of a run is; locked moves once."""

    LOCKED = "locked"
    RELEASED = "released"
    REFUNDED = "refunded"


class DecisionStatus(models.TextChoices):
    """Who has decided a settlement, if anybody has."""

    PENDING = "pending"
    AUTO_RESOLVED = "auto_resolved"
    MANUAL_REVIEW_REQUIRED = "manual_review_required"
    MANUAL_RESOLVED = "manual_resolved"


class DecisionMode(models.TextChoices):
    """How a settlement is decided."""

    AUTOMATIC = "automatic"
    MANUAL_REVIEW = "manual-review"


class DisputeStatus(models.TextChoices):
    """Whether a claim stands against a settlement."""

    NONE = "none"
    OPEN = "open"
    CLOSED = "closed"


class Finality(models.TextChoices):
    """Whether a receipt speaks of money that has moved for good."""

    PENDING = "pending"
    FINAL = "final"


class HoldStatus(models.TextChoices):
    """What became of money set aside; held moves once."""

    HELD = "held"
    RELEASED = "released"
    REFUNDED = "refunded"


class AdjustmentKind(models.TextChoices):
    """What a correction did."""

    HOLDBACK_RELEASE = "holdback_release"
    HOLDBACK_REFUND = "holdback_refund"
    VERDICT_RELEASE = "verdict_release"
    VERDICT_REFUND = "verdict_refund"
    PAYOUT_RETURN = "payout_return"
    FUNDING_REVERSAL = "funding_reversal"
    CHARGEBACK_RECOVERY = "chargeback_recovery"


class RefKind(models.TextChoices):
    """What a movement of money may rest on (kernel spec 13.1); the last two are what a ledger adds."""

    SETTLEMENT_RECEIPT = "settlement_receipt"
    SETTLEMENT_ADJUSTMENT = "settlement_adjustment"
    FUNDING_RECEIPT = "funding_receipt"
    LEDGER_ENTRY = "ledger_entry"
    CARRY_IN = "carry_in"


class ReservationState(models.TextChoices):
    """Where the money of a payout stands in its wallet."""

    RESERVED = "reserved"
    COMMITTED = "committed"
    RELEASED = "released"
    RETURNED = "returned"


RESERVATION_MOVES: Final = {
    ReservationState.RESERVED: {ReservationState.COMMITTED, ReservationState.RELEASED},
    ReservationState.COMMITTED: {ReservationState.RETURNED},
}
