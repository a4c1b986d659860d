"""The money side of a run, and the pair of documents that binds each of its phases."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q

from settld.core import columns
from settld.core.triggers import append_only
from settld.kernel.models import move_triggers
from settld.kernel.states import DecisionMode, DecisionStatus, DisputeStatus, Finality, SettlementStatus


class Settlement(models.Model):
    """What a run is worth to whom. `agent_id` is paid, `payer_agent_id` pays.

    The dispute columns mirror the latest dispute. `decision_id` and `receipt_id` name the newest bound
    pair. `dispute_window_hours`, where set, is exact; days are its whole days rounded up.
    """

    id = columns.row_id()
    tenant_id = columns.tenant()
    settlement_id = columns.name(140)
    run_id = columns.name(128)
    agreement_id = columns.optional(500)
    agent_id = columns.name(128)
    payer_agent_id = columns.name(128)
    amount_cents = columns.cents()
    currency = columns.currency()
    status = columns.word(SettlementStatus, default=SettlementStatus.LOCKED)
    locked_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution_event_id = columns.optional(200)
    run_status = columns.optional(20)
    released_cents = columns.cents(default=0)
    refunded_cents = columns.cents(default=0)
    release_rate_pct = models.PositiveSmallIntegerField(null=True, blank=True)
    dispute_window_days = models.PositiveSmallIntegerField(default=0)
    dispute_window_hours = models.PositiveIntegerField(null=True, blank=True)
    dispute_window_ends_at = models.DateTimeField(null=True, blank=True)
    dispute_status = columns.word(DisputeStatus, default=DisputeStatus.NONE)
    dispute_id = columns.optional(200)
    dispute_opened_at = models.DateTimeField(null=True, blank=True)
    dispute_closed_at = models.DateTimeField(null=True, blank=True)
    dispute_verdict_id = columns.optional(200)
    dispute_verdict_hash = columns.optional(64)
    dispute_verdict_artifact_id = columns.optional(300)
    dispute_verdict_signer_key_id = columns.optional(64)
    dispute_verdict_issued_at = models.DateTimeField(null=True, blank=True)
    dispute_context: "models.JSONField[Any, Any]" = models.JSONField(null=True, blank=True)
    dispute_resolution: "models.JSONField[Any, Any]" = models.JSONField(null=True, blank=True)
    decision_status = columns.word(DecisionStatus, default=DecisionStatus.PENDING)
    decision_mode = columns.word(DecisionMode, default=DecisionMode.AUTOMATIC)
    decision_policy_hash = columns.optional(64)
    decision_reason = columns.optional(500)
    decision_trace: "models.JSONField[Any, Any]" = models.JSONField(null=True, blank=True)
    decision_updated_at = models.DateTimeField(null=True, blank=True)
    decision_id = columns.optional(80)
    receipt_id = columns.optional(80)
    revision = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "agent_run_settlement"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "run_id"], name="settlement_of_run"),
            models.UniqueConstraint(fields=["tenant_id", "settlement_id"], name="settlement_once"),
            columns.one_of("status", SettlementStatus, name="settlement_status"),
            columns.one_of("dispute_status", DisputeStatus, name="settlement_dispute_status"),
            columns.one_of("decision_status", DecisionStatus, name="settlement_decision_status"),
            columns.one_of("decision_mode", DecisionMode, name="settlement_decision_mode"),
            columns.is_currency("currency", name="settlement_currency"),
            columns.in_range("amount_cents", name="settlement_amount", least=1),
            columns.in_range("released_cents", name="settlement_released"),
            columns.in_range("refunded_cents", name="settlement_refunded"),
            models.CheckConstraint(
                condition=Q(status="locked", released_cents=0, refunded_cents=0, resolved_at__isnull=True)
                | Q(
                    status="released",
                    released_cents__gt=0,
                    refunded_cents=F("amount_cents") - F("released_cents"),
                    resolved_at__isnull=False,
                    resolution_event_id__isnull=False,
                )
                | Q(
                    status="refunded",
                    released_cents=0,
                    refunded_cents=F("amount_cents"),
                    resolved_at__isnull=False,
                    resolution_event_id__isnull=False,
                ),
                name="settlement_partition",
            ),
            models.CheckConstraint(
                condition=~Q(payer_agent_id=F("agent_id")), name="settlement_no_self_payment"
            ),
            models.CheckConstraint(
                condition=Q(dispute_status="none", dispute_id__isnull=True)
                | Q(dispute_status__in=["open", "closed"], dispute_id__isnull=False),
                name="settlement_dispute_named",
            ),
            models.CheckConstraint(
                condition=~Q(status="locked") | Q(dispute_status="none"),
                name="settlement_dispute_after_resolution",
            ),
            models.CheckConstraint(
                condition=Q(release_rate_pct__isnull=True) | Q(release_rate_pct__lte=100),
                name="settlement_rate",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "status", "resolved_at"], name="settlement_by_status"),
            models.Index(fields=["tenant_id", "agent_id", "resolved_at"], name="settlement_of_payee"),
            models.Index(fields=["tenant_id", "payer_agent_id", "locked_at"], name="settlement_of_payer"),
            models.Index(fields=["tenant_id", "dispute_status"], name="settlement_by_dispute"),
        ]
        triggers: ClassVar = [move_triggers.SETTLEMENT_TERMS, move_triggers.SETTLEMENT_ONCE]

    def __str__(self) -> str:
        return self.settlement_id


class DecisionRecord(models.Model):
    """A decision about a settlement, as hashed (`SettlementDecisionRecord.v2`); append-only."""

    id = columns.row_id()
    tenant_id = columns.tenant()
    decision_id = columns.name(80)
    run_id = columns.name(128)
    settlement_id = columns.name(140)
    phase = columns.name(80)
    decision_status = columns.word(DecisionStatus)
    decided_at = models.DateTimeField()
    decision_hash = columns.name(64)
    body: "models.JSONField[Any, Any]" = models.JSONField()

    class Meta:
        db_table = "decision_record"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "decision_id"], name="decision_record_once"),
            columns.is_hash("decision_hash", name="decision_record_hash"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "settlement_id", "id"], name="decision_of_settlement")
        ]
        triggers: ClassVar = append_only("decision_record")

    def __str__(self) -> str:
        return self.decision_id


class SettlementReceipt(models.Model):
    """Proof of where a settlement stands (`SettlementReceipt.v1`); append-only, one final per settlement."""

    id = columns.row_id()
    tenant_id = columns.tenant()
    receipt_id = columns.name(80)
    run_id = columns.name(128)
    settlement_id = columns.name(140)
    decision_id = columns.name(80)
    agent_id = columns.name(128)
    status = columns.word(SettlementStatus)
    amount_cents = columns.cents()
    released_cents = columns.cents(default=0)
    refunded_cents = columns.cents(default=0)
    currency = columns.currency()
    finality_state = columns.word(Finality)
    settled_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    receipt_hash = columns.name(64)
    body: "models.JSONField[Any, Any]" = models.JSONField()

    class Meta:
        db_table = "settlement_receipt"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "receipt_id"], name="settlement_receipt_once"),
            models.UniqueConstraint(
                fields=["tenant_id", "settlement_id"],
                condition=Q(finality_state="final"),
                name="settlement_receipt_final_once",
            ),
            columns.one_of("finality_state", Finality, name="settlement_receipt_finality"),
            columns.is_hash("receipt_hash", name="settlement_receipt_hash"),
            models.CheckConstraint(
                condition=Q(finality_state="pending") | Q(settled_at__isnull=False),
                name="settlement_receipt_final_is_settled",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["tenant_id", "agent_id", "settled_at"],
                name="settlement_receipt_payable",
                condition=Q(finality_state="final", released_cents__gt=0),
            ),
            models.Index(fields=["tenant_id", "settlement_id", "id"], name="receipt_of_settlement"),
            models.Index(
                fields=["tenant_id", "settled_at"],
                name="settlement_receipt_of_month",
                condition=Q(finality_state="final", released_cents__gt=0),
            ),
        ]
        triggers: ClassVar = append_only("settlement_receipt")

    def __str__(self) -> str:
        return self.receipt_id
