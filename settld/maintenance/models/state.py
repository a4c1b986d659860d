"""Where a kind of maintenance stands, for one tenant or for all."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from settld.core import ids
from settld.maintenance.states import RunOutcome


class MaintenanceState(models.Model):
    """The last run that covered a tenant, its last success and when the next may start.

    `last_result` is reduced to the tenant: what a run over all did for others is never in it.
    `tenant_id` is `*` for the kind as a whole, the row that gates runs over all tenants.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    kind = models.CharField(max_length=100)
    last_run_at = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(null=True)
    next_eligible_at = models.DateTimeField(null=True)
    last_result = models.JSONField(null=True)
    outcome = models.CharField(max_length=20, null=True)  # noqa: DJ001  (null until the first run)
    code = models.CharField(max_length=100, null=True)  # noqa: DJ001
    runtime_ms = models.BigIntegerField(null=True)
    request_id = models.CharField(max_length=128, null=True)  # noqa: DJ001
    audit_id = models.BigIntegerField(null=True)
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "maintenance_state"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "kind"], name="maintenance_state_identity"),
            models.CheckConstraint(
                condition=Q(outcome__isnull=True) | Q(outcome__in=RunOutcome.values),
                name="maintenance_state_outcome",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.tenant_id}"
