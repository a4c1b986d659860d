"""Money set aside for a tool call, and corrections of what was settled."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q

from settld.core import columns
from settld.core.triggers import append_only
from settld.kernel.models import move_triggers
from settld.kernel.states import AdjustmentKind, HoldStatus


class FundingHold(models.Model):
    """The share of a payment that waits for its challenge window; one per agreement."""

    id = columns.row_id()
    tenant_id = columns.tenant()
    hold_hash = columns.name(64)
    agreement_hash = columns.name(64)
    receipt_hash = columns.name(64)
    payer_agent_id = columns.name(128)
    payee_agent_id = columns.name(128)
    amount_cents = columns.cents()
    held_cents = columns.cents()
    currency = columns.currency()
    holdback_bps = models.PositiveIntegerField()
    challenge_window_ms = models.BigIntegerField()
    window_ends_at = models.DateTimeField()
    status = columns.word(HoldStatus, default=HoldStatus.HELD)
    resolved_at = models.DateTimeField(null=True, blank=True)
    metadata: "models.JSONField[Any, Any]" = models.JSONField(null=True, blank=True)
    revision = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "funding_hold"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "hold_hash"], name="funding_hold_once"),
            models.UniqueConstraint(fields=["tenant_id", "agreement_hash"], name="funding_hold_of_agreement"),
            columns.one_of("status", HoldStatus, name="funding_hold_status"),
            columns.is_currency("currency", name="funding_hold_currency"),
            columns.in_range("amount_cents", name="funding_hold_amount", least=1),
            models.CheckConstraint(
                condition=Q(held_cents__gte=0, held_cents__lte=F("amount_cents")), name="funding_hold_held"
            ),
            models.CheckConstraint(condition=Q(holdback_bps__lte=10_000), name="funding_hold_bps"),
            models.CheckConstraint(
                condition=Q(challenge_window_ms__gte=0, challenge_window_ms__lte=31_536_000_000),
                name="funding_hold_window",
            ),
            models.CheckConstraint(
                condition=Q(status="held", resolved_at__isnull=True)
                | Q(status__in=["released", "refunded"], resolved_at__isnull=False),
                name="funding_hold_resolved_at",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "status", "window_ends_at"], name="funding_hold_due"),
            models.Index(fields=["tenant_id", "created_at", "hold_hash"], name="funding_hold_newest"),
        ]
        triggers: ClassVar = [move_triggers.HOLD_TERMS, move_triggers.HOLD_ONCE]

    def __str__(self) -> str:
        return self.hold_hash


class Adjustment(models.Model):
    """A later correction of settled money, each kind with its effect in the journal; append-only.

    `agent_id` is whose wallet it concerns; `shortfall_cents` is what could not be moved.
    """

    id = columns.row_id()
    tenant_id = columns.tenant()
    adjustment_id = columns.name(1000)
    kind = columns.word(AdjustmentKind)
    agent_id = columns.name(128)
    run_id = columns.optional(128)
    agreement_hash = columns.optional(64)
    hold_hash = columns.optional(64)
    operation_id = columns.optional(900)
    amount_cents = columns.cents()
    shortfall_cents = columns.cents(default=0)
    currency = columns.currency()
    adjustment_hash = columns.name(64)
    body: "models.JSONField[Any, Any]" = models.JSONField()
    metadata: "models.JSONField[Any, Any]" = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "settlement_adjustment"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "adjustment_id"], name="adjustment_once"),
            columns.one_of("kind", AdjustmentKind, name="adjustment_kind"),
            columns.is_hash("adjustment_hash", name="adjustment_hash"),
            columns.in_range("amount_cents", name="adjustment_amount"),
            columns.in_range("shortfall_cents", name="adjustment_shortfall"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "agent_id", "created_at"], name="adjustment_of_agent"),
            models.Index(fields=["tenant_id", "run_id"], name="adjustment_of_run"),
            models.Index(
                fields=["tenant_id", "operation_id"],
                name="adjustment_of_operation",
                condition=Q(operation_id__isnull=False),
            ),
            models.Index(
                fields=["tenant_id", "created_at"],
                name="adjustment_of_month",
                condition=Q(kind__in=["holdback_release", "verdict_release", "verdict_refund"]),
            ),
        ]
        triggers: ClassVar = append_only("settlement_adjustment")

    def __str__(self) -> str:
        return self.adjustment_id
