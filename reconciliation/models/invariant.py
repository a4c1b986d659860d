"""How each invariant stood when it was last looked at, and for which breaches payouts were stopped."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from reconciliation.states import CheckStatus
from settld.core import columns
from settld.core.triggers import append_only


class InvariantCheck(models.Model):
    """The last look at one invariant of one tenant.

    `sweep_after` is the key after which the next look goes on in a table too large for one look; `swept_at`
    is when a sweep last came to the table's end. `triage_key` names the case while the invariant is broken.
    """

    id = columns.row_id()
    tenant_id = columns.tenant()
    name = columns.name(64)
    status = columns.word(CheckStatus)
    row_count = models.PositiveIntegerField(default=0)
    triage_key = columns.optional(64)
    broken_since = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField()
    swept_at = models.DateTimeField(null=True, blank=True)
    sweep_after = columns.optional(1200)
    runtime_ms = models.PositiveIntegerField(default=0)
    code = columns.optional(100)

    class Meta:
        db_table = "invariant_check"
        verbose_name = "invariant check"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "name"], name="invariant_check_once"),
            columns.one_of("status", CheckStatus, name="invariant_check_status"),
            models.CheckConstraint(
                condition=Q(status="fail", triage_key__isnull=False, broken_since__isnull=False)
                | Q(status="pass", triage_key__isnull=True, broken_since__isnull=True, row_count=0)
                | Q(status="error", code__isnull=False),
                name="invariant_check_says_what_it_found",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "name"], name="invariant_broken", condition=Q(status="fail"))
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.name} {self.status}"


class InvariantStop(models.Model):
    """A breach that payouts were stopped for; append-only.

    One row for each content of a case, `content_hash` covering its rows: once a person has lifted the stop,
    the same rows stop nothing again. `is_own_stop` is false where a stop of the monitor's own was in force
    already, and covered it.
    """

    id = columns.row_id()
    tenant_id = columns.tenant()
    name = columns.name(64)
    content_hash = columns.name(64)
    triage_key = columns.name(64)
    is_own_stop = models.BooleanField()
    stopped_at = models.DateTimeField()

    class Meta:
        db_table = "invariant_stop"
        verbose_name = "invariant stop"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "name", "content_hash"], name="invariant_stop_once"),
            columns.is_hash("content_hash", name="invariant_stop_hash"),
        ]
        triggers: ClassVar = append_only("invariant_stop")

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.name} {self.content_hash[:8]}"
