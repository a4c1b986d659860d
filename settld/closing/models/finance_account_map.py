"""How a tenant's accounts are called in its own books."""

from typing import Any, ClassVar

from django.db import models

from settld.core import columns


class FinanceAccountMap(models.Model):
    """A tenant's `FinanceAccountMap.v1`; one, replaced as a whole."""

    id = columns.row_id()
    tenant_id = columns.tenant()
    mapping: "models.JSONField[Any, Any]" = models.JSONField()
    mapping_hash = columns.name(64)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "finance_account_map"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id"], name="finance_account_map_once"),
            columns.is_hash("mapping_hash", name="finance_account_map_hash"),
        ]

    def __str__(self) -> str:
        return self.tenant_id
