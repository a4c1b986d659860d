"""The table that stands for any table of the product: a key, a tenant, a document, an index."""

import uuid

from django.db import models


class Row(models.Model):
    """One row."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    tenant_id = models.TextField()
    key = models.TextField()
    state = models.TextField()
    amount_cents = models.BigIntegerField()
    document = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "floor_row"

    def __str__(self) -> str:
        return self.key
