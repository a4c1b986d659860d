"""Many decisions as one: a frozen set of cases, what is wanted for each, and what became of it."""

from django.db import models
from django.db.models import Q

from reconciliation.states import BatchKind, BatchStatus, RowResult
from settld.core import ids


class TriageBatch(models.Model):
    """One preview and, once somebody confirms it, its carrying out.

    Which cases it is about is written down at the preview and never asked again, so that a case which
    starts or stops matching meanwhile changes nothing. `change` is what is wanted for every row;
    a file wants something of its own for each.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    kind = models.CharField(max_length=12, choices=BatchKind.choices)
    act = models.CharField(max_length=20)
    status = models.CharField(max_length=12, choices=BatchStatus.choices, default=BatchStatus.PREVIEWED)
    change = models.JSONField(null=True, blank=True)
    filters = models.JSONField(null=True, blank=True)
    file_name = models.CharField(max_length=200, blank=True)
    file_hash = models.CharField(max_length=64, blank=True)
    row_count = models.PositiveIntegerField()
    is_cut = models.BooleanField(default=False)  # more matched than one batch takes
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    applied_by = models.CharField(max_length=200, blank=True)
    applied_request_id = models.CharField(max_length=200, blank=True)
    applied_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "reconciliation_triage_batch"
        verbose_name = "triage batch"
        verbose_name_plural = "triage batches"
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=BatchKind.values), name="triage_batch_kind"),
            models.CheckConstraint(condition=Q(status__in=BatchStatus.values), name="triage_batch_status"),
            models.CheckConstraint(
                condition=(
                    Q(status=BatchStatus.PREVIEWED, applied_at__isnull=True, applied_by="")
                    | ~Q(status=BatchStatus.PREVIEWED) & Q(applied_at__isnull=False) & ~Q(applied_by="")
                ),
                name="triage_batch_applied_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(status=BatchStatus.DONE, finished_at__isnull=False)
                | ~Q(status=BatchStatus.DONE) & Q(finished_at__isnull=True),
                name="triage_batch_finished_when_done",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant_id", "-created_at"], name="triage_batch_newest"),
            models.Index(
                fields=["tenant_id", "created_at"],
                name="triage_batch_previews",
                condition=Q(status=BatchStatus.PREVIEWED),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.act} {self.row_count} ({self.status})"


class TriageBatchRow(models.Model):
    """One case of a batch: the revision and the content that the preview saw, and the result.

    `position` is its place, in a file its line. `before` and `change` are kept for files alone.
    """

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.CharField(max_length=200)
    batch = models.ForeignKey(TriageBatch, on_delete=models.PROTECT, related_name="rows", db_index=False)
    position = models.PositiveIntegerField()
    triage_key = models.CharField(max_length=64, blank=True)
    seen_revision = models.PositiveIntegerField(default=0, db_default=0)
    seen_hash = models.CharField(max_length=64, blank=True, default="", db_default="")
    seen_status = models.CharField(max_length=12, blank=True, default="", db_default="")
    before = models.JSONField(null=True, blank=True)
    change = models.JSONField(null=True, blank=True)
    result = models.CharField(
        max_length=10,
        choices=RowResult.choices,
        blank=True,
        default=RowResult.WAITING,
        db_default=RowResult.WAITING,
    )
    why = models.TextField(blank=True, default="", db_default="")
    revision = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        db_table = "reconciliation_triage_batch_row"
        verbose_name = "triage batch row"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "batch", "position"], name="triage_batch_row_position"
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "batch", "triage_key"],
                name="triage_batch_row_once_per_case",
                condition=~Q(result="invalid"),
            ),
            models.CheckConstraint(condition=Q(result__in=RowResult.values), name="triage_batch_row_result"),
        ]
        indexes = [
            models.Index(
                fields=["tenant_id", "batch", "position"],
                name="triage_batch_row_waiting",
                condition=Q(result=RowResult.WAITING),
            )
        ]

    def __str__(self) -> str:
        return f"{self.position} {self.triage_key}"
