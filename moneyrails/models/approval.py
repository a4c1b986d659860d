"""A change that waits for a second person, and what became of it."""

from typing import Any

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from moneyrails.models import fields
from moneyrails.states import ApprovalStatus

_DECIDED = (
    "status, decided_by, decided_by_user_id, decided_by_key_id, decided_hands, decision_reason,"
    " decided_at, result"
)
_GUARD = f"""
IF TG_OP = 'INSERT' THEN
  IF NEW.status <> 'pending' THEN
    RAISE EXCEPTION 'approval: what is asked begins as pending' USING ERRCODE = 'check_violation';
  END IF;
  IF NOT NEW.requested_by = ANY (NEW.requested_hands) THEN
    RAISE EXCEPTION 'approval: the hands must name who asked' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END IF;
IF OLD.status <> 'pending' THEN
  RAISE EXCEPTION 'approval: a decision stands' USING ERRCODE = 'check_violation';
END IF;
IF (to_jsonb(NEW) - string_to_array('{_DECIDED}', ', '))
    IS DISTINCT FROM (to_jsonb(OLD) - string_to_array('{_DECIDED}', ', ')) THEN
  RAISE EXCEPTION 'approval: what was asked stays as it was asked' USING ERRCODE = 'check_violation';
END IF;
IF NEW.status = 'approved' AND NOT (
    NEW.decided_by = ANY (NEW.decided_hands)
    AND EXISTS (SELECT FROM unnest(NEW.decided_hands) hand WHERE hand LIKE 'person:%')) THEN
  RAISE EXCEPTION 'approval: only a known person approves' USING ERRCODE = 'check_violation';
END IF;
RETURN NEW;
"""


class Approval(models.Model):
    """What somebody asked for, frozen, the state of things it was asked against, and who decided.

    "Hands" are everybody known to be able to act as a principal: the principal itself, and for an API key
    whoever made or rotated it. The database refuses an approval whose deciding hands touch the asking
    ones, one by nobody who is a known person, one that comes too late, and any change of a decided row.
    """

    id = fields.row_id()
    tenant_id = fields.tenant()
    kind = fields.name(60)
    subject = fields.name(500)
    status = fields.word(ApprovalStatus)
    changes: "models.JSONField[Any, Any]" = models.JSONField(default=list)
    body: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    body_hash = fields.name(64)
    base: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    base_hash = fields.name(64)
    requested_by = fields.name(255)
    requested_by_user_id = fields.optional(40)
    requested_by_key_id = fields.optional(200)
    requested_hands = ArrayField(models.CharField(max_length=255))
    request_reason = fields.optional(1000)
    request_id = fields.optional(128)
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_by = fields.optional(255)
    decided_by_user_id = fields.optional(40)
    decided_by_key_id = fields.optional(200)
    decided_hands = ArrayField(models.CharField(max_length=255), default=list)
    decision_reason = fields.optional(1000)
    decided_at = models.DateTimeField(null=True)
    result: "models.JSONField[Any, Any]" = models.JSONField(null=True)

    class Meta:
        db_table = "approval"
        verbose_name = "approval"
        constraints = [
            fields.one_of("status", ApprovalStatus, name="approval_status_known"),
            models.CheckConstraint(
                condition=Q(status="pending", decided_at__isnull=True, decided_by="", result__isnull=True)
                | (~Q(status="pending") & Q(decided_at__isnull=False) & ~Q(decided_by="")),
                name="approval_decided_by_somebody",
            ),
            models.CheckConstraint(
                condition=~Q(status="approved")
                | (
                    ~Q(decided_by=F("requested_by"))
                    & ~Q(decided_hands__overlap=F("requested_hands"))
                    & (Q(decided_by_user_id="") | ~Q(decided_by_user_id=F("requested_by_user_id")))
                ),
                name="approval_by_a_second_person",
            ),
            models.CheckConstraint(
                condition=~Q(status="approved") | Q(decided_at__lt=F("expires_at")),
                name="approval_in_time",
            ),
            models.CheckConstraint(condition=Q(expires_at__gt=F("requested_at")), name="approval_has_time"),
            models.UniqueConstraint(
                fields=["tenant_id", "kind", "subject", "requested_by", "body_hash", "base_hash"],
                condition=Q(status="pending"),
                name="approval_asked_once",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant_id", "-requested_at", "-id"], name="approval_newest"),
            models.Index(fields=["tenant_id", "status", "-requested_at", "-id"], name="approval_by_status"),
            models.Index(fields=["expires_at"], condition=Q(status="pending"), name="approval_running_out"),
        ]
        triggers = [
            pgtrigger.Protect(name="approval_kept", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                name="approval_stands",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                func=_GUARD,
            ),
            pgtrigger.Trigger(
                name="approval_whole",
                level=pgtrigger.Statement,
                when=pgtrigger.Before,
                operation=pgtrigger.Truncate,
                func="RAISE EXCEPTION 'pgtrigger: Cannot truncate rows from % table', TG_TABLE_NAME;",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} ({self.status})"
