"""What a tenant decided about how its books are kept."""

from typing import Any, ClassVar, Final

from django.db import models
from django.db.models import Q

from settld.core import columns
from settld.core.triggers import append_only

TENANT_POLICY_UPDATED: Final = "TENANT_POLICY_UPDATED"


class GovernanceEvent(models.Model):
    """A chained and signed decision with the instant it takes effect; append-only."""

    id = columns.row_id()
    tenant_id = columns.tenant()
    seq = models.PositiveIntegerField()
    event_id = columns.name(100)
    type = columns.name(50)
    at = models.DateTimeField()
    effective_from = models.DateTimeField()
    actor: "models.JSONField[Any, Any]" = models.JSONField()
    policy: "models.JSONField[Any, Any]" = models.JSONField()
    payload_hash = columns.name(64)
    prev_chain_hash = columns.optional(64)
    chain_hash = columns.name(64)
    signature_key_id = columns.name(200)
    signature_base64 = columns.name(100)

    class Meta:
        db_table = "governance_event"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "seq"], name="governance_event_seq"),
            models.UniqueConstraint(fields=["tenant_id", "event_id"], name="governance_event_identity"),
            models.UniqueConstraint(
                fields=["tenant_id", "prev_chain_hash"], name="governance_event_chain", nulls_distinct=False
            ),
            models.CheckConstraint(
                condition=Q(seq=1, prev_chain_hash__isnull=True)
                | Q(seq__gt=1, prev_chain_hash__isnull=False),
                name="governance_event_opens_stream",
            ),
            models.CheckConstraint(condition=Q(type=TENANT_POLICY_UPDATED), name="governance_event_type"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "effective_from", "seq"], name="governance_event_effective"),
        ]
        triggers: ClassVar = append_only("governance_event")

    def __str__(self) -> str:
        return self.event_id
