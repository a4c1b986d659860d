"""One stored reply."""

from typing import ClassVar

from django.db import models

from settld.core import ids


class IdempotencyRecord(models.Model):
    """The reply to one (tenant, principal, route, key); never changed, purged when expired."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    principal_id = models.CharField(max_length=255)
    route = models.TextField(help_text="METHOD and path, without the query")
    key = models.CharField(max_length=500)
    identity_hash = models.CharField(max_length=64, help_text="SHA-256 of tenant, principal, route and key")
    request_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.TextField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "idempotency_record"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "identity_hash"], name="idempotency_identity"),
            models.CheckConstraint(
                condition=models.Q(status__gte=200, status__lt=300), name="idempotency_only_2xx"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["expires_at"], name="idempotency_expiry")]

    def __str__(self) -> str:
        return f"{self.route} {self.key}"
