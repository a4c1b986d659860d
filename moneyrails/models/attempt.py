"""One try to have a provider carry out an operation."""

import datetime as dt
from typing import Any

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from moneyrails import states
from moneyrails.models import fields
from moneyrails.states import AttemptStatus

# What a CHECK cannot say, since it sees one state of a row only. Somebody who wants to settle their own
# payout would otherwise rename the submitter first.
_GUARD = """
IF NEW.resolved_by <> '' AND NOT EXISTS (
    SELECT FROM unnest(NEW.resolver_hands) hand WHERE hand LIKE 'person:%') THEN
  RAISE EXCEPTION 'attempt_resolved_by_a_person: only a known person settles'
    USING ERRCODE = 'check_violation';
END IF;
IF TG_OP = 'INSERT' THEN
  RETURN NEW;
END IF;
IF NEW.operation_id <> OLD.operation_id OR NEW.attempt <> OLD.attempt OR NEW.tenant_id <> OLD.tenant_id
    OR NEW.idempotency_key <> OLD.idempotency_key OR NEW.created_at <> OLD.created_at THEN
  RAISE EXCEPTION 'dispatch_attempt: what an attempt is stays as it was opened'
    USING ERRCODE = 'check_violation';
END IF;
IF OLD.status <> 'retryable' AND (NEW.submitted_by <> OLD.submitted_by
    OR NEW.submitted_by_key_id <> OLD.submitted_by_key_id OR NEW.request <> OLD.request) THEN
  RAISE EXCEPTION 'dispatch_attempt: who sent what stays as it was written down'
    USING ERRCODE = 'check_violation';
END IF;
IF OLD.resolved_by <> '' AND (NEW.status <> OLD.status OR NEW.resolved_by <> OLD.resolved_by
    OR NEW.resolution_reason <> OLD.resolution_reason OR NEW.resolution_evidence <> OLD.resolution_evidence
    OR NEW.resolver_hands <> OLD.resolver_hands OR NEW.submitter_hands <> OLD.submitter_hands) THEN
  RAISE EXCEPTION 'dispatch_attempt: what a person has settled stays settled'
    USING ERRCODE = 'check_violation';
END IF;
RETURN NEW;
"""
_SETTLED = Q(status__in=["succeeded", "not_sent"], resolved_at__isnull=False) & ~Q(resolution_reason="")


class DispatchAttempt(models.Model):
    """The outbox row of a payout: committed before anything is sent, fenced by its lease token.

    A lease is live while `lease_expires_at` lies ahead; it is cleared when its holder writes down what
    happened. `was_in_doubt` stays set: after it, a refusal of the same key proves nothing.

    A person's settlement names who made it in `resolved_by`. "Hands" are everybody known to be able to act
    as a principal: itself, and for an API key whoever made or rotated it. The database refuses a settlement
    whose hands touch those that submitted, and one that no known person stands behind.
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
    resolution_evidence = fields.optional(4000)
    submitter_hands = ArrayField(models.CharField(max_length=255), default=list)
    resolver_hands = ArrayField(models.CharField(max_length=255), default=list)
    resolved_at = models.DateTimeField(null=True)
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
            models.CheckConstraint(
                condition=Q(resolved_by="")
                | (
                    ~Q(submitted_by="")
                    & Q(resolver_hands__contains=[F("resolved_by")])
                    & Q(submitter_hands__contains=[F("submitted_by")])
                    & ~Q(resolver_hands__overlap=F("submitter_hands"))
                ),
                name="attempt_resolved_by_other_hands",
            ),
            models.CheckConstraint(
                condition=Q(resolved_by="") | _SETTLED, name="attempt_settlement_says_why_and_how"
            ),
            models.CheckConstraint(
                condition=~Q(status="not_sent") | ~Q(resolved_by=""), name="attempt_not_sent_by_a_person"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_check_at"],
                condition=Q(status__in=["dispatching", "in_doubt"]),
                name="attempt_due_for_check",
            ),
            models.Index(
                fields=["tenant_id", "created_at", "id"],
                condition=Q(status__in=sorted(states.OPEN_ATTEMPT)),
                name="attempt_open_by_age",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="attempt_guard",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                func=_GUARD,
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
