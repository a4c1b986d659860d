"""Who works and who pays."""

from typing import Any, ClassVar

from django.db import models

from settld.core import columns
from settld.kernel.states import AgentStatus, OwnerType


class Agent(models.Model):
    """An identity with a key of its own. `capabilities` are unique and sorted."""

    id = columns.row_id()
    tenant_id = columns.tenant()
    agent_id = columns.name(128)
    display_name = models.CharField(max_length=200)
    description = columns.optional(4000)
    status = columns.word(AgentStatus, default=AgentStatus.ACTIVE)
    owner_type = columns.word(OwnerType)
    owner_id = columns.name(300)
    key_id = columns.name(64)
    public_key_pem = models.TextField()
    capabilities: "models.JSONField[Any, Any]" = models.JSONField(default=list)
    wallet_policy: "models.JSONField[Any, Any]" = models.JSONField(null=True, blank=True)
    metadata: "models.JSONField[Any, Any]" = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "agent"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "agent_id"], name="agent_once"),
            models.CheckConstraint(
                condition=models.Q(agent_id__regex=r"^[A-Za-z0-9:_-]{3,128}$"), name="agent_id_form"
            ),
            columns.one_of("status", AgentStatus, name="agent_status"),
            columns.one_of("owner_type", OwnerType, name="agent_owner_type"),
        ]
        indexes: ClassVar = [models.Index(fields=["tenant_id", "status", "agent_id"], name="agent_by_status")]

    def __str__(self) -> str:
        return self.agent_id
