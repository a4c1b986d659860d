"""One try to have a provider carry out an operation."""

import datetime as dt
from typing import Any

from django.db import models
from django.db.models import F, Q

from moneyrails import states
from moneyrails.models import fields
from moneyrails.states import AttemptStatus


class DispatchAttempt(models.Model):
    """The outbox row of a payout: committed before anything is sent, fenced by its lease token.

    A lease is live while `lease_expires_at` lies ahead; it is cleared when its holder writes down what
    happened. `was_in_doubt` stays set: after it, a refusal of the same key proves nothing.
    """

    id = fields.row_id()
    tenant_id = fields.tenant()
    operation = models.ForeignKey(
        "moneyrails.Operation", on_delete=models.PROTECT, related_name="attempts", db_index=False
    )
    attempt = models.PositiveIntegerField()
    status = fields.word(AttemptStatus)
    idempotency_key = fields.name(120)
    lease_token = models.UUIDField()
    lease_expires_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True)
    check_count = models.PositiveIntegerField(default=0)
    first_sent_at = models.DateTimeField(null=True)
    was_in_doubt = models.BooleanField(default=False)
    observed_ref = fields.optional()
    error: "models.JSONField[Any, Any]" = models.JSONField(null=True)
    request: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    answer: "models.JSONField[Any, Any]" = models.JSONField(null=True)
    caller_identity_hash = fields.optional(64)
    submitted_by = fields.optional(200)
    submitted_by_key_id = fields.optional(200)
    resolved_by = fields.optional(200)
    resolution_reason = fields.optional(500)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "dispatch_attempt"
        verbose_name = "dispatch attempt"
        constraints = [
            models.UniqueConstraint(fields=["operation", "attempt"], name="attempt_number_once"),
            models.UniqueConstraint(fields=["tenant_id", "idempotency_key"], name="attempt_key_once"),
            models.UniqueConstraint(
                fields=["operation"],
                condition=Q(status__in=sorted(states.OPEN_ATTEMPT)),
                name="attempt_one_open_per_operation",
            ),
            fields.one_of("status", AttemptStatus, name="attempt_status_known"),
            models.CheckConstraint(condition=Q(attempt__gte=1), name="attempt_counts_from_one"),
            models.CheckConstraint(
                condition=Q(resolved_by="") | ~Q(resolved_by=F("submitted_by")),
                name="attempt_resolved_by_a_second_person",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_check_at"],
                condition=Q(status__in=["dispatching", "in_doubt"]),
                name="attempt_due_for_check",
            )
        ]

    def __str__(self) -> str:
        return f"attempt {self.attempt} ({self.status})"

    @property
    def is_open(self) -> bool:
        """Tell whether money may be on its way because of it."""
        return self.status in states.OPEN_ATTEMPT

    def is_leased(self, now: dt.datetime) -> bool:
        """Tell whether somebody is working on it."""
        return self.is_open and self.lease_expires_at is not None and self.lease_expires_at > now
