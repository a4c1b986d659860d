"""One intended movement of money by one provider."""

import datetime as dt
from typing import Any

from django.db import models
from django.db.models import Q

from moneyrails import states
from moneyrails.models import fields
from moneyrails.states import Direction, OperationState, ProviderMode

STAMPS = {
    "initiated": (),
    "submitted": ("submitted",),
    "confirmed": ("submitted", "confirmed"),
    "failed": ("failed",),
    "cancelled": ("cancelled",),
    "reversed": ("submitted", "confirmed", "reversed"),
}
_ALL_STAMPS = ("submitted", "confirmed", "failed", "cancelled", "reversed")


def _stamps_match_state() -> Q:
    """Each state has the stamps of its way only; one that was called off may have been submitted."""
    condition = Q()
    for state, needed in STAMPS.items():
        free = ("submitted",) if state in states.CALLED_OFF else ()
        stamps = {f"{stamp}_at__isnull": stamp not in needed for stamp in _ALL_STAMPS if stamp not in free}
        condition |= Q(state=state, **stamps)
    return condition


class Operation(models.Model):
    """A payout (or, later, a collection): made once, moved through its states, never deleted.

    `payout_key` is the wire's idempotencyKey. `request_hash`, `gate_verdicts` and the requested values
    stay inside. An empty provider_ref or reason_code means that none was given.
    """

    id = fields.row_id()
    tenant_id = fields.tenant()
    provider_id = fields.name()
    operation_id = fields.name(900)
    direction = fields.word(Direction)
    payout_key = fields.name(900)
    party_id = fields.name()
    period = fields.name(7)
    statement_hash = fields.name(64)
    amount_cents = models.BigIntegerField()
    recovery_applied_cents = models.BigIntegerField(default=0)
    currency = fields.name(3)
    counterparty_ref = fields.name(600)
    requested_counterparty_ref = fields.optional()
    requested_provider_id = fields.optional()
    metadata: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    provider_mode = fields.word(ProviderMode)
    state = fields.word(OperationState)
    provider_ref = fields.optional()
    reason_code = fields.optional()
    initiated_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    reversed_at = models.DateTimeField(null=True)
    gate_verdicts: "models.JSONField[Any, Any]" = models.JSONField(default=list)
    request_hash = fields.name(64)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "money_rail_operation"
        verbose_name = "operation"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "provider_id", "operation_id"], name="operation_once_per_provider"
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "direction", "payout_key"], name="operation_once_per_payout_key"
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "party_id", "period"],
                condition=Q(direction="payout") & ~Q(state__in=sorted(states.CALLED_OFF)),
                name="operation_one_live_payout_per_period",
            ),
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="operation_amount_positive"),
            models.CheckConstraint(
                condition=Q(recovery_applied_cents__gte=0), name="operation_recovery_not_negative"
            ),
            fields.one_of("state", OperationState, name="operation_state_known"),
            fields.one_of("direction", Direction, name="operation_direction_known"),
            fields.one_of("provider_mode", ProviderMode, name="operation_mode_known"),
            models.CheckConstraint(condition=_stamps_match_state(), name="operation_stamps_match_state"),
        ]
        indexes = [
            models.Index(
                fields=["tenant_id", "provider_mode", "initiated_at"],
                condition=Q(state__in=sorted(states.EXPOSED), direction="payout"),
                name="operation_exposure",
            ),
            models.Index(fields=["tenant_id", "provider_id", "period"], name="operation_of_period"),
            models.Index(fields=["tenant_id", "party_id", "period"], name="operation_of_party"),
            models.Index(fields=["tenant_id", "state", "initiated_at", "id"], name="operation_by_state"),
            models.Index(fields=["tenant_id", "initiated_at", "id"], name="operation_by_age"),
            models.Index(
                fields=["tenant_id", "counterparty_ref"],
                condition=Q(state="initiated"),
                name="operation_waiting_for",
            ),
        ]

    def __str__(self) -> str:
        return self.operation_id

    @property
    def is_terminal(self) -> bool:
        """Tell whether nothing more can happen to it."""
        return not states.MOVES[self.state]

    @property
    def reference(self) -> str:
        """Name the party statement that this operation pays."""
        return self.payout_key

    def enter(
        self, target: str, *, at: dt.datetime, now: dt.datetime, provider_ref: str = "", reason_code: str = ""
    ) -> None:
        """Move to a state and stamp its time; the caller holds the row lock and saves.

        `at` is when it happened by the teller's clock, `now` when we wrote it down.
        """
        states.require_move(self.state, target)
        self.state = target
        setattr(self, f"{target}_at", at)
        self.provider_ref = self.provider_ref or provider_ref
        self.reason_code = reason_code or self.reason_code
        self.updated_at = now

    def save_move(self, target: str) -> None:
        """Save what `enter` changed, and nothing else; the caller holds the row lock."""
        self.save(update_fields=["state", f"{target}_at", "provider_ref", "reason_code", "updated_at"])
