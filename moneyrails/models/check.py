"""One look at, or one more send of, an attempt whose outcome was not known."""

from typing import Any

import pgtrigger
from django.db import models
from django.db.models import Q

from moneyrails.models import fields
from moneyrails.states import CheckKind, CheckOutcome


class DispatchCheck(models.Model):
    """What was found out about an attempt, each time somebody tried; append-only.

    `found` lists the provider's transfers as they were seen, null when the provider was not listed;
    `error` is the provider error object, null when it answered. The clear success of a first send
    writes none.
    """

    id = fields.row_id()
    tenant_id = fields.tenant()
    attempt = models.ForeignKey(
        "moneyrails.DispatchAttempt", on_delete=models.PROTECT, related_name="checks", db_index=False
    )
    kind = fields.word(CheckKind)
    outcome = fields.word(CheckOutcome)
    checked_by = fields.name(200)
    request_id = fields.optional(128)
    found: "models.JSONField[Any, Any]" = models.JSONField(null=True)
    error: "models.JSONField[Any, Any]" = models.JSONField(null=True)
    note = fields.optional(4000)
    checked_at = models.DateTimeField()

    class Meta:
        db_table = "dispatch_check"
        verbose_name = "dispatch check"
        constraints = [
            fields.one_of("kind", CheckKind, name="check_kind_known"),
            fields.one_of("outcome", CheckOutcome, name="check_outcome_known"),
            models.CheckConstraint(condition=~Q(checked_by=""), name="check_names_who"),
        ]
        indexes = [models.Index(fields=["attempt", "checked_at", "id"], name="check_of_attempt")]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.kind}: {self.outcome}"
