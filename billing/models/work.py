"""Work owed to the provider, and runs that compare us with it."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from billing.models import fields
from billing.models.fields import Leased, Stamped
from billing.states import JobStatus, RunStatus, Scope


class BillingOutboxJob(Stamped, Leased):
    """An effect owed to the provider, written in the transaction that owes it (INV-40)."""

    tenant_id = fields.tenant()
    billable_entity = fields.belongs_to("billing.BillableEntity", null=True, blank=True)
    operation_key = fields.optional_ref(64)
    provider_event_id = fields.optional_ref()
    job_type = models.CharField(max_length=80, db_collation="C")
    dedupe_key = fields.ref(300)
    payload_json = models.JSONField(default=dict)
    status = fields.word(JobStatus, default=JobStatus.PENDING)
    available_at = models.DateTimeField()
    attempt_count = models.IntegerField(default=0)
    last_error_text = models.TextField(null=True, blank=True)  # noqa: DJ001  (absent is NULL here)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "billing_outbox_jobs"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "job_type", "dedupe_key"], name="billing_job_once"),
            fields.one_of("status", JobStatus, name="billing_job_status"),
            models.CheckConstraint(
                condition=Q(status=JobStatus.LEASED, lease_expires_at__isnull=False)
                | (~Q(status=JobStatus.LEASED) & Q(lease_expires_at=None)),
                name="billing_job_lease",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["status", "available_at"], name="billing_job_due"),
            models.Index(
                fields=["tenant_id", "available_at", "id"],
                name="billing_job_turn",
                condition=Q(status__in=[JobStatus.PENDING, JobStatus.FAILED, JobStatus.LEASED]),
            ),
            models.Index(fields=["billable_entity", "updated_at"], name="billing_job_recent"),
            models.Index(fields=["-updated_at", "-id"], name="billing_job_latest"),
            models.Index(
                fields=["operation_key"],
                name="billing_job_by_operation",
                condition=Q(operation_key__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.job_type} {self.dedupe_key}: {self.status}"


class ReconciliationRun(Stamped, Leased):
    """One leased comparison of a scope with the provider; at most one runs (INV-38).

    Deployment-wide: it walks all tenants.
    """

    provider = fields.provider()
    scope = fields.word(Scope)
    status = fields.word(RunStatus, default=RunStatus.RUNNING)
    runner_id = models.CharField(max_length=120)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    cursor_json = models.JSONField(null=True, blank=True)
    summary_json = models.JSONField(null=True, blank=True)
    scanned_count = models.IntegerField(default=0)
    drift_detected_count = models.IntegerField(default=0)
    repaired_count = models.IntegerField(default=0)
    error_text = models.TextField(null=True, blank=True)  # noqa: DJ001  (absent is NULL here)

    class Meta:
        db_table = "billing_reconciliation_runs"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["provider", "scope"],
                condition=Q(status=RunStatus.RUNNING),
                name="reconciliation_run_single",
            ),
            fields.one_of("scope", Scope, name="reconciliation_run_scope"),
            fields.one_of("status", RunStatus, name="reconciliation_run_status"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["-updated_at", "-id"], name="reconciliation_run_recent"),
            models.Index(fields=["scope", "-started_at"], name="reconciliation_run_of_scope"),
        ]

    def __str__(self) -> str:
        return f"{self.scope}: {self.status}"
