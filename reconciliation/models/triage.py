"""What people decided about cases: the overlay, and each decision that led to it."""

from typing import Final

from django.db import models
from django.db.models import F, Q

from reconciliation.states import DECIDED, Severity, SourceType, TriageStatus
from settld.core import ids, triggers


class Triage(models.Model):
    """The standing decision about one case, identified by the case's triage key.

    It may exist before the case does, and outlives it: a case that is gone and comes back meets its
    decision again. What the queue filters by is repeated on the case (Mismatch) in the same transaction.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    triage_key = models.CharField(max_length=64)
    source_type = models.CharField(max_length=32, choices=SourceType.choices)
    period = models.CharField(max_length=7, blank=True)
    provider_id = models.CharField(max_length=200, blank=True)
    mismatch_type = models.CharField(max_length=64)
    mismatch_key = models.TextField()
    mismatch_code = models.CharField(max_length=100, blank=True)
    status = models.CharField(max_length=12, choices=TriageStatus.choices, default=TriageStatus.OPEN)
    severity = models.CharField(max_length=8, choices=Severity.choices, blank=True)
    owner_principal_id = models.CharField(max_length=200, blank=True)
    notes = models.TextField(blank=True)
    source_report_hash = models.CharField(max_length=64, blank=True)
    mismatch_hash = models.CharField(max_length=64, blank=True)
    metadata = models.JSONField(null=True, blank=True)
    revision = models.PositiveIntegerField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by_principal_id = models.CharField(max_length=200, blank=True)

    class Meta:
        db_table = "reconciliation_triage"
        verbose_name = "triage"
        verbose_name_plural = "triage"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "triage_key"], name="triage_once_per_case"),
            models.CheckConstraint(condition=Q(source_type__in=SourceType.values), name="triage_source_type"),
            models.CheckConstraint(condition=Q(status__in=TriageStatus.values), name="triage_status_known"),
            models.CheckConstraint(
                condition=Q(severity="") | Q(severity__in=Severity.values), name="triage_severity_known"
            ),
            models.CheckConstraint(
                condition=(Q(status__in=DECIDED, resolved_at__isnull=False) & ~Q(resolved_by_principal_id=""))
                | (~Q(status__in=DECIDED) & Q(resolved_at__isnull=True, resolved_by_principal_id="")),
                name="triage_resolved_exactly_when_decided",
            ),
            models.CheckConstraint(condition=Q(revision__gte=1), name="triage_revision_from_one"),
        ]
        indexes = [
            models.Index("tenant_id", F("updated_at").desc(), "triage_key", name="triage_newest"),
            models.Index(
                "tenant_id", "period", F("updated_at").desc(), "triage_key", name="triage_of_period"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.triage_key} {self.status}"

    @property
    def is_decided(self) -> bool:
        """Tell whether a person closed the case."""
        return self.status in DECIDED


ACTION_LOG_LENGTH: Final = 50


class TriageAction(models.Model):
    """One change of a decision; append-only, one per revision."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    triage_key = models.CharField(max_length=64)
    revision = models.PositiveIntegerField()
    action = models.CharField(max_length=100)
    at = models.DateTimeField()
    actor_principal_id = models.CharField(max_length=200)
    prev_status = models.CharField(max_length=12, blank=True)
    next_status = models.CharField(max_length=12, choices=TriageStatus.choices)
    severity = models.CharField(max_length=8, blank=True)
    owner_principal_id = models.CharField(max_length=200, blank=True)
    notes = models.TextField(blank=True)

    class Meta:
        db_table = "reconciliation_triage_action"
        verbose_name = "triage action"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "triage_key", "revision"], name="triage_action_once_per_revision"
            ),
            models.CheckConstraint(
                condition=Q(next_status__in=TriageStatus.values), name="triage_action_status_known"
            ),
        ]
        triggers = triggers.append_only("reconciliation_triage_action")

    def __str__(self) -> str:
        return f"{self.triage_key} #{self.revision} {self.action}"
