"""A stored comparison."""

from django.db import models

from reconciliation.states import ReportStatus, Side
from settld.core import ids


class ReconcileReport(models.Model):
    """One distinct result of comparing a period at a provider; the document itself is the artifact.

    `side` tells what the operations were compared with; `mismatch_count` counts the rows of the report.
    Runs that find the same facts have the same `report_hash` and share the row; `last_run_at` tells
    when the result was last seen to hold.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    artifact_id = models.TextField()
    artifact_hash = models.CharField(max_length=64)
    period = models.CharField(max_length=7)
    provider_id = models.CharField(max_length=200)
    side = models.CharField(max_length=8, choices=Side.choices, default=Side.BOOKS, db_default=Side.BOOKS)
    status = models.CharField(max_length=8, choices=ReportStatus.choices)
    report_hash = models.CharField(max_length=64)
    summary = models.JSONField()
    mismatch_count = models.PositiveIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField()
    last_run_at = models.DateTimeField()

    class Meta:
        db_table = "reconcile_report"
        verbose_name = "reconcile report"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "artifact_id"], name="reconcile_report_artifact"),
            models.CheckConstraint(
                condition=models.Q(status__in=ReportStatus.values), name="reconcile_report_status"
            ),
            models.CheckConstraint(condition=models.Q(side__in=Side.values), name="reconcile_report_side"),
        ]
        indexes = [
            models.Index("tenant_id", models.F("last_run_at").desc(), "id", name="reconcile_report_latest"),
            models.Index(
                "tenant_id",
                "period",
                "provider_id",
                "side",
                models.F("last_run_at").desc(),
                name="reconcile_report_of_subject",
            ),
        ]

    def __str__(self) -> str:
        return self.artifact_id
