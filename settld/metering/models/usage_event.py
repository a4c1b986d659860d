"""One billable use."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Func, Q

from settld.core import clock, columns
from settld.core.hashing import canonical_hash
from settld.core.money import MAX_MINOR
from settld.core.triggers import append_only
from settld.metering.states import BILLED_CURRENCY, SCHEMA, EventType, SourceType


class UsageEvent(models.Model):
    """A use that is billed; append-only. The key says which use it is, so a repeat adds nothing.

    `amount_cents` is in `currency`; an amount without one is in the billed currency.
    """

    id = columns.row_id()
    tenant_id = columns.tenant()
    event_key = columns.name(700)
    event_type = columns.word(EventType)
    period = columns.name(7)
    occurred_at = models.DateTimeField()
    quantity = models.BigIntegerField()
    amount_cents = models.BigIntegerField(null=True)
    currency = columns.optional(12)
    run_id = columns.optional()
    settlement_id = columns.optional()
    dispute_id = columns.optional()
    arbitration_case_id = columns.optional()
    source_type = columns.word(SourceType)
    source_id = columns.name(1000)
    source_event_id = columns.optional(1000)
    audit = models.JSONField(null=True)
    event_hash = columns.name(64)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "billing_usage_event"
        verbose_name = "usage event"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "event_key"], name="billing_usage_event_once"),
            columns.one_of("event_type", EventType, name="billing_usage_event_type"),
            columns.one_of("source_type", SourceType, name="billing_usage_event_source"),
            columns.in_range("quantity", least=1, name="billing_usage_event_quantity"),
            models.CheckConstraint(
                condition=Q(amount_cents__isnull=True) | Q(amount_cents__gte=0, amount_cents__lte=MAX_MINOR),
                name="billing_usage_event_amount",
            ),
            models.CheckConstraint(
                condition=Q(currency__isnull=True) | Q(currency__regex=columns.CURRENCY_PATTERN),
                name="billing_usage_event_currency",
            ),
            models.CheckConstraint(
                condition=Q(
                    period=Func(
                        F("occurred_at"),
                        template="to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM')",
                        output_field=models.CharField(),
                    )
                ),
                name="billing_usage_event_period",
            ),
            columns.is_hash("event_hash", name="billing_usage_event_hash"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["tenant_id", "period", "event_type", "occurred_at", "event_key"],
                name="billing_usage_event_listing",
            ),
            models.Index(
                fields=["tenant_id", "period", "currency"],
                include=["amount_cents"],
                condition=Q(event_type=EventType.SETTLED_VOLUME)
                & (Q(currency__lt=BILLED_CURRENCY) | Q(currency__gt=BILLED_CURRENCY)),
                name="billing_usage_event_unbilled",
            ),
        ]
        triggers: ClassVar = append_only("billing_usage_event")

    def __str__(self) -> str:
        return self.event_key

    @property
    def hashed_json(self) -> dict[str, Any]:
        """Give the members that the hash covers, all of them, null where unknown."""
        return {
            "schemaVersion": SCHEMA,
            "tenantId": self.tenant_id,
            "eventKey": self.event_key,
            "eventType": str(self.event_type),
            "period": self.period,
            "occurredAt": clock.iso(self.occurred_at),
            "quantity": self.quantity,
            "amountCents": self.amount_cents,
            "currency": self.currency,
            "runId": self.run_id,
            "settlementId": self.settlement_id,
            "disputeId": self.dispute_id,
            "arbitrationCaseId": self.arbitration_case_id,
            "sourceType": str(self.source_type),
            "sourceId": self.source_id,
            "sourceEventId": self.source_event_id,
            "audit": self.audit,
        }

    def as_json(self) -> dict[str, Any]:
        """Shape the event for the wire."""
        return self.hashed_json | {"eventHash": self.event_hash, "createdAt": clock.iso(self.created_at)}

    def compute_hash(self) -> str:
        """Hash what the event says."""
        return canonical_hash(self.hashed_json)
