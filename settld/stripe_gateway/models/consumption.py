"""One consumer's work on one event."""

from django.db import models
from django.db.models import Q

from settld.stripe_gateway.models.event import StripeEvent
from settld.stripe_gateway.states import ConsumptionStatus, Outcome


class StripeEventConsumption(models.Model):
    """A consumer's own outcome, retries and lease; no consumer sees another's.

    Deployment-wide, as the events are. `attempts` counts leases taken; `lease_version` fences a
    worker whose lease ran out. Tenant, entity and operation key are what the consumer found out about
    the event, failed or not; nothing is allowed or refused by them.
    """

    id = models.BigAutoField(primary_key=True)
    event = models.ForeignKey(StripeEvent, on_delete=models.PROTECT, related_name="consumptions")
    consumer = models.CharField(max_length=60)
    status = models.CharField(
        max_length=10, choices=ConsumptionStatus.choices, default=ConsumptionStatus.PENDING
    )
    outcome = models.CharField(max_length=10, choices=Outcome.choices, blank=True, default="")
    detail = models.TextField(blank=True, default="")
    tenant_id = models.CharField(max_length=200, db_collation="C", blank=True, default="")
    billable_entity_id = models.BigIntegerField(null=True, blank=True)
    operation_key = models.CharField(max_length=64, db_collation="C", blank=True, default="")
    error = models.TextField(blank=True, default="")
    error_code = models.CharField(max_length=64, blank=True, default="")
    processing_started_at = models.DateTimeField(null=True, blank=True)
    last_failed_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    lease_owner = models.CharField(max_length=120, blank=True, default="")
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    lease_version = models.PositiveIntegerField(default=0)
    finished_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "billing_webhook_event_consumptions"
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["event", "consumer"], name="webhook_consumption_once"),
            models.CheckConstraint(
                condition=Q(status__in=ConsumptionStatus.values), name="webhook_consumption_status"
            ),
            models.CheckConstraint(
                condition=Q(outcome="", finished_at=None) & ~Q(status="done")
                | Q(outcome__in=Outcome.values, finished_at__isnull=False, status="done"),
                name="webhook_consumption_done_has_outcome",
            ),
            models.CheckConstraint(
                condition=Q(status="leased", lease_expires_at__isnull=False)
                | (~Q(status="leased") & Q(lease_expires_at=None)),
                name="webhook_consumption_leased_has_expiry",
            ),
        ]
        indexes = [
            models.Index(
                fields=["billable_entity_id", "updated_at"],
                name="webhook_consumption_entity",
                condition=Q(billable_entity_id__isnull=False),
            ),
            models.Index(
                fields=["operation_key", "updated_at"],
                name="webhook_consumption_operation",
                condition=~Q(operation_key=""),
            ),
            models.Index(fields=["consumer", "-updated_at", "-event"], name="webhook_consumption_latest"),
            models.Index(
                fields=["next_attempt_at", "id"],
                name="webhook_consumption_due",
                condition=Q(status__in=["pending", "failed"]),
            ),
            models.Index(
                fields=["lease_expires_at"], name="webhook_consumption_leases", condition=Q(status="leased")
            ),
            models.Index(fields=["id"], name="webhook_consumption_dead", condition=Q(status="dead")),
            models.Index(
                fields=["consumer", "created_at"],
                name="webhook_consumption_failed",
                condition=Q(status__in=["failed", "dead"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.consumer} on {self.event_id}: {self.status}"
