"""One owed effect."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from settld.core import ids
from settld.outbox.states import OPEN, JobStatus


class OutboxJob(models.Model):
    """An effect owed, written in the transaction that owes it.

    `dedupe_key` is its identity within the tenant. `lease_version` is the fencing token: it grows with
    every claim, and whoever finishes must name the version he holds.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    kind = models.CharField(max_length=100)
    dedupe_key = models.CharField(max_length=500)
    payload = models.JSONField(default=dict)
    status = models.CharField(max_length=20, choices=JobStatus.choices, default=JobStatus.PENDING)
    available_at = models.DateTimeField()
    lease_owner = models.CharField(max_length=200, blank=True, default="")
    lease_expires_at = models.DateTimeField(null=True)
    lease_version = models.BigIntegerField(default=0)
    attempt_count = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "outbox_job"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "dedupe_key"], name="outbox_job_identity"),
            models.CheckConstraint(condition=Q(status__in=JobStatus.values), name="outbox_job_status"),
            models.CheckConstraint(
                condition=Q(status=JobStatus.LEASED, lease_expires_at__isnull=False)
                | ~Q(status=JobStatus.LEASED) & Q(lease_expires_at__isnull=True),
                name="outbox_job_lease_ends",
            ),
            models.CheckConstraint(
                condition=Q(status=JobStatus.SUCCEEDED, finished_at__isnull=False)
                | ~Q(status=JobStatus.SUCCEEDED) & Q(finished_at__isnull=True),
                name="outbox_job_finished",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["tenant_id", "available_at"], name="outbox_job_open", condition=Q(status__in=OPEN)
            ),
            models.Index(
                fields=["tenant_id", "kind", "status"],
                name="outbox_job_backlog",
                condition=~Q(status=JobStatus.SUCCEEDED),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.dedupe_key}"
