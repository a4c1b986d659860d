"""The chain: rows, head and checkpoints."""

import json
from typing import Any, ClassVar

from django.db import models

from settld.core import clock
from settld.core.triggers import append_only

GENESIS = "0" * 64


class OpsAudit(models.Model):
    """One privileged act (platform-operations 4); `details` is kept as the canonical text that was hashed."""

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.CharField(max_length=200)
    seq = models.BigIntegerField()
    actor_key_id = models.CharField(max_length=200, null=True)  # noqa: DJ001  (null is hashed as null)
    actor_principal_id = models.CharField(max_length=255)
    action = models.CharField(max_length=100)
    target_type = models.CharField(max_length=100)
    target_id = models.TextField()
    request_id = models.CharField(max_length=128, null=True)  # noqa: DJ001
    at = models.DateTimeField()
    details_hash = models.CharField(max_length=64)
    details_text = models.TextField()
    prev_hash = models.CharField(max_length=64)
    row_hash = models.CharField(max_length=64)

    class Meta:
        db_table = "ops_audit"
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant_id", "seq"], name="ops_audit_seq")]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "-id"], name="ops_audit_newest"),
            models.Index(fields=["tenant_id", "action", "-id"], name="ops_audit_action"),
            models.Index(fields=["tenant_id", "target_type", "target_id"], name="ops_audit_target"),
        ]
        triggers: ClassVar = append_only("ops_audit")

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.seq} {self.action}"

    @property
    def details(self) -> Any:
        """Give the details as JSON."""
        return json.loads(self.details_text)


class OpsAuditHead(models.Model):
    """Where a tenant's chain ends; locked last in a transaction."""

    tenant_id = models.CharField(max_length=200, primary_key=True)
    seq = models.BigIntegerField()
    row_hash = models.CharField(max_length=64)

    class Meta:
        db_table = "ops_audit_head"

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.seq}"


class OpsAuditCheckpoint(models.Model):
    """A signed statement of where the chain ended on a day (`OpsAuditCheckpoint.v1`)."""

    tenant_id = models.CharField(max_length=200)
    seq = models.BigIntegerField()
    row_hash = models.CharField(max_length=64)
    at = models.DateTimeField()
    day_key = models.CharField(max_length=10)
    artifact_hash = models.CharField(max_length=64)
    key_id = models.CharField(max_length=200)
    signature_base64 = models.TextField()

    class Meta:
        db_table = "ops_audit_checkpoint"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "day_key"], name="ops_audit_checkpoint_day")
        ]
        triggers: ClassVar = append_only("ops_audit_checkpoint")

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.day_key}"

    @property
    def statement(self) -> dict[str, Any]:
        """Give what is hashed and signed."""
        return {
            "schemaVersion": "OpsAuditCheckpoint.v1",
            "tenantId": self.tenant_id,
            "seq": self.seq,
            "rowHash": self.row_hash,
            "at": clock.iso(self.at),
        }
