"""Runs and their chained events."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from settld.core import columns
from settld.core.triggers import append_only
from settld.kernel.states import RunEventType, RunStatus


class Run(models.Model):
    """One piece of an agent's work: what its events add up to. `revision` 0 is the first event."""

    id = columns.row_id()
    tenant_id = columns.tenant()
    run_id = columns.name(128)
    agent_id = columns.name(128)
    task_type = columns.optional(200)
    input_ref = columns.optional(2000)
    status = columns.word(RunStatus, default=RunStatus.CREATED)
    evidence_refs: "models.JSONField[Any, Any]" = models.JSONField(default=list)
    metrics: "models.JSONField[Any, Any]" = models.JSONField(null=True, blank=True)
    failure: "models.JSONField[Any, Any]" = models.JSONField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    revision = models.PositiveIntegerField(default=0)
    last_event_id = columns.name(100)
    last_chain_hash = columns.name(64)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "agent_run"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "run_id"], name="run_once"),
            columns.one_of("status", RunStatus, name="run_status"),
            models.CheckConstraint(
                condition=Q(status="completed", completed_at__isnull=False, failed_at__isnull=True)
                | Q(status="failed", failed_at__isnull=False, completed_at__isnull=True)
                | Q(status__in=["created", "running"], completed_at__isnull=True, failed_at__isnull=True),
                name="run_end_is_stamped",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "agent_id", "-created_at", "run_id"], name="run_of_agent"),
            models.Index(fields=["tenant_id", "-created_at", "run_id"], name="run_newest"),
        ]

    def __str__(self) -> str:
        return self.run_id


class RunEvent(models.Model):
    """One event of a run, chained to the one before and signed by the server; append-only."""

    id = columns.row_id()
    tenant_id = columns.tenant()
    run_id = columns.name(128)
    seq = models.PositiveIntegerField()
    event_id = columns.name(100)
    type = columns.word(RunEventType)
    at = models.DateTimeField()
    actor: "models.JSONField[Any, Any]" = models.JSONField()
    payload: "models.JSONField[Any, Any]" = models.JSONField()
    payload_hash = columns.name(64)
    prev_chain_hash = columns.optional(64)
    chain_hash = columns.name(64)
    signature = columns.name(100)
    signer_key_id = columns.name(64)

    class Meta:
        db_table = "agent_run_event"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "run_id", "seq"], name="run_event_seq"),
            models.UniqueConstraint(fields=["tenant_id", "run_id", "event_id"], name="run_event_once"),
            models.UniqueConstraint(
                fields=["tenant_id", "run_id", "prev_chain_hash"],
                name="run_event_chain",
                nulls_distinct=False,
            ),
            columns.one_of("type", RunEventType, name="run_event_type"),
            models.CheckConstraint(
                condition=Q(seq=0, prev_chain_hash__isnull=True)
                | Q(seq__gt=0, prev_chain_hash__isnull=False),
                name="run_event_opens_stream",
            ),
        ]
        triggers: ClassVar = append_only("agent_run_event")

    def __str__(self) -> str:
        return f"{self.run_id} {self.seq} {self.type}"
