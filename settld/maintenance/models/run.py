"""One run of one kind of maintenance."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from settld.core import ids
from settld.maintenance.states import RunOutcome, RunScope


class MaintenanceRun(models.Model):
    """A try to run, whatever came of it. `tenant_id` is `*` for a run over all tenants.

    A run over all may leave a row for each tenant that it covered, with what concerns that tenant.
    `figures` are numbers that pages plot and that the run's summary does not have.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    kind = models.CharField(max_length=100)
    scope = models.CharField(max_length=10, choices=RunScope.choices)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=20, choices=RunOutcome.choices, default=RunOutcome.RUNNING)
    runtime_ms = models.BigIntegerField(null=True)
    inputs = models.JSONField(default=dict)
    summary = models.JSONField(null=True)
    figures = models.JSONField(default=dict, db_default={})
    code = models.CharField(max_length=100, null=True)  # noqa: DJ001  (null on the wire)
    request_id = models.CharField(max_length=128, null=True)  # noqa: DJ001
    audit_id = models.BigIntegerField(null=True)

    class Meta:
        db_table = "maintenance_run"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(outcome__in=RunOutcome.values), name="maintenance_run_outcome"
            ),
            models.CheckConstraint(condition=Q(scope__in=RunScope.values), name="maintenance_run_scope"),
            models.CheckConstraint(
                condition=Q(outcome=RunOutcome.RUNNING, finished_at__isnull=True)
                | ~Q(outcome=RunOutcome.RUNNING) & Q(finished_at__isnull=False),
                name="maintenance_run_finished",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["kind", "tenant_id", "-started_at"], name="maintenance_run_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.tenant_id} {self.outcome}"
