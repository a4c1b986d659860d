"""Facts that a provider told us about an operation."""

from typing import Any

import pgtrigger
from django.db import models
from django.db.models import Q

from moneyrails.models import fields
from moneyrails.states import EventOutcome, OperationState


class ProviderEvent(models.Model):
    """The inbox: append-only, refused events too; only a refused one leaves its dedupe key free."""

    id = fields.row_id()
    tenant_id = fields.tenant()
    operation = models.ForeignKey("moneyrails.Operation", on_delete=models.PROTECT, related_name="events")
    provider_id = fields.name()
    event_type = fields.word(OperationState)
    event_id = fields.optional()
    dedupe_key = fields.name(600)
    provider_status = fields.optional()
    provider_ref = fields.optional()
    reason_code = fields.optional()
    at = models.DateTimeField()
    payload: "models.JSONField[Any, Any]" = models.JSONField(null=True)
    outcome = fields.word(EventOutcome)
    refusal_code = fields.optional(100)
    source = fields.name(40)
    received_at = models.DateTimeField()

    class Meta:
        db_table = "provider_event"
        verbose_name = "provider event"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "operation", "dedupe_key"],
                condition=~Q(outcome="rejected"),
                name="event_once_unless_rejected",
            ),
            fields.one_of("event_type", OperationState, name="event_type_known"),
            fields.one_of("outcome", EventOutcome, name="event_outcome_known"),
            models.CheckConstraint(
                condition=Q(outcome="rejected") ^ Q(refusal_code=""), name="event_refusal_matches_outcome"
            ),
        ]
        indexes = [models.Index(fields=["tenant_id", "received_at", "id"], name="event_by_arrival")]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.event_type} ({self.outcome})"
