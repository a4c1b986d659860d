"""What was used of what a plan grants."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from billing.models import fields
from billing.models.fields import Stamped
from billing.states import UsageState


class UsageCounter(Stamped):
    """How much of one entitlement was used in one window; moved by one guarded statement (INV-42)."""

    tenant_id = fields.tenant()
    billable_entity = fields.belongs_to("billing.BillableEntity")
    entitlement_code = models.CharField(max_length=120, db_collation="C")
    window_start_at = models.DateTimeField()
    window_end_at = models.DateTimeField()
    usage_count = models.BigIntegerField(default=0)
    metadata_json = fields.metadata()

    class Meta:
        db_table = "billing_usage_counters"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=[
                    "tenant_id",
                    "billable_entity",
                    "entitlement_code",
                    "window_start_at",
                    "window_end_at",
                ],
                name="usage_counter_window",
            ),
            models.CheckConstraint(condition=Q(usage_count__gte=0), name="usage_counter_count"),
            models.CheckConstraint(
                condition=Q(window_end_at__gt=F("window_start_at")), name="usage_counter_span"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["window_end_at"], name="usage_counter_retention")]

    def __str__(self) -> str:
        return f"{self.entitlement_code}: {self.usage_count}"


class UsageEvent(Stamped):
    """One counted use; its key counts once, whatever the window (INV-43)."""

    tenant_id = fields.tenant()
    billable_entity = fields.belongs_to("billing.BillableEntity")
    entitlement_code = models.CharField(max_length=120, db_collation="C")
    usage_event_key = fields.ref()
    window_start_at = models.DateTimeField()
    window_end_at = models.DateTimeField()
    amount = models.BigIntegerField()
    state = fields.word(UsageState, default=UsageState.COUNTED)
    metadata_json = fields.metadata()

    class Meta:
        db_table = "billing_usage_events"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "billable_entity", "entitlement_code", "usage_event_key"],
                name="usage_event_once",
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="usage_event_amount"),
            fields.one_of("state", UsageState, name="usage_event_state"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["window_end_at"], name="usage_event_retention"),
            models.Index(
                fields=["created_at"],
                name="usage_event_reserved",
                condition=Q(state=UsageState.RESERVED),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.entitlement_code} {self.usage_event_key}"
