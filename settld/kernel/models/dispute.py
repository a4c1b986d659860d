"""Claims against a settlement."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from settld.core import columns
from settld.core.triggers import append_only
from settld.kernel.states import DisputeStatus


class Dispute(models.Model):
    """A claim against a run's settlement; at most one is open."""

    id = columns.row_id()
    tenant_id = columns.tenant()
    dispute_id = columns.name(200)
    run_id = columns.name(128)
    settlement_id = columns.name(140)
    status = columns.word(DisputeStatus)
    context: "models.JSONField[Any, Any]" = models.JSONField()
    opened_at = models.DateTimeField()
    opened_by_agent_id = columns.optional(128)
    closed_at = models.DateTimeField(null=True, blank=True)
    resolution: "models.JSONField[Any, Any]" = models.JSONField(null=True, blank=True)
    verdict: "models.JSONField[Any, Any]" = models.JSONField(null=True, blank=True)
    is_arbitrated = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "run_dispute"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "dispute_id"], name="dispute_once"),
            models.UniqueConstraint(
                fields=["tenant_id", "run_id"], condition=Q(status="open"), name="dispute_open_once"
            ),
            models.CheckConstraint(
                condition=Q(status="open", closed_at__isnull=True, resolution__isnull=True)
                | Q(status="closed", closed_at__isnull=False, resolution__isnull=False),
                name="dispute_closed_is_resolved",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "run_id", "opened_at"], name="dispute_of_run"),
            models.Index(fields=["tenant_id", "status", "opened_at"], name="dispute_by_status"),
        ]

    def __str__(self) -> str:
        return self.dispute_id


class DisputeEvidence(models.Model):
    """One piece of evidence in a dispute; append-only."""

    id = columns.row_id()
    tenant_id = columns.tenant()
    dispute_id = columns.name(200)
    evidence_ref = columns.name(512)
    submitted_at = models.DateTimeField()
    submitted_by_agent_id = columns.optional(128)
    reason = columns.optional(4000)

    class Meta:
        db_table = "dispute_evidence"
        verbose_name_plural = "dispute evidence"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "dispute_id", "evidence_ref"], name="dispute_evidence_once"
            ),
        ]
        triggers: ClassVar = append_only("dispute_evidence")

    def __str__(self) -> str:
        return f"{self.dispute_id} {self.evidence_ref}"
