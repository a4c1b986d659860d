"""A case where two sides differ, kept from the first time it was seen."""

from django.db import models
from django.db.models import F, Q

from reconciliation.states import Severity, SourceType
from settld.core import ids

OPEN = Q(cleared_at__isnull=True, resolved_at__isnull=True)


class Mismatch(models.Model):
    """One difference, identified by its triage key, whichever run finds it again.

    `cleared_at` is set by the run that no longer finds it, and taken back by one that does;
    `resolved_at` is a person's decision. A row is open when it has neither.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    triage_key = models.CharField(max_length=64)
    source_type = models.CharField(max_length=32, choices=SourceType.choices)
    period = models.CharField(max_length=7, blank=True)
    provider_id = models.CharField(max_length=200, blank=True)
    mismatch_type = models.CharField(max_length=64)
    mismatch_key = models.TextField()
    mismatch_code = models.CharField(max_length=100)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    details = models.JSONField()
    mismatch_hash = models.CharField(max_length=64)
    last_report_hash = models.CharField(max_length=64, blank=True)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    cleared_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "mismatch"
        verbose_name_plural = "mismatches"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "triage_key"], name="mismatch_triage_key"),
            models.CheckConstraint(
                condition=Q(source_type__in=SourceType.values), name="mismatch_source_type"
            ),
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="mismatch_severity"),
        ]
        indexes = [
            models.Index(
                "tenant_id", F("first_seen_at").desc(), F("id").desc(), name="mismatch_open", condition=OPEN
            ),
            models.Index(
                "tenant_id",
                "source_type",
                "period",
                "provider_id",
                name="mismatch_uncleared",
                condition=Q(cleared_at__isnull=True),
            ),
            models.Index("tenant_id", F("first_seen_at").desc(), F("id").desc(), name="mismatch_by_age"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """Name the case in one line."""
        return f"{self.mismatch_type}:{self.mismatch_key}"

    @property
    def is_open(self) -> bool:
        """Tell whether the difference still waits for someone."""
        return self.cleared_at is None and self.resolved_at is None
