"""Machine credentials; only hashes are kept."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from settld.core import ids
from settld.core.principals import SCOPES


class KeyStatus(models.TextChoices):
    """The life of a key; revoked is its end."""

    ACTIVE = "active", "Active"
    ROTATED = "rotated", "Rotated"
    REVOKED = "revoked", "Revoked"


class AuthKey(models.Model):
    """An API key of one tenant."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    key_id = models.CharField(max_length=128)
    secret_hash = models.CharField(max_length=300)
    scopes = ArrayField(models.CharField(max_length=40))
    status = models.CharField(max_length=16, choices=KeyStatus.choices, default=KeyStatus.ACTIVE)
    description = models.CharField(max_length=500, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    grace_expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    rotated_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "auth_key"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "key_id"], name="auth_key_id"),
            models.CheckConstraint(
                condition=models.Q(scopes__contained_by=sorted(SCOPES)), name="auth_key_scopes_known"
            ),
            models.CheckConstraint(
                condition=models.Q(status="revoked", revoked_at__isnull=False)
                | (~models.Q(status="revoked") & models.Q(revoked_at__isnull=True)),
                name="auth_key_revoked_at",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=KeyStatus.values), name="auth_key_status_known"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["key_id"], name="auth_key_by_id")]

    def __str__(self) -> str:
        return self.key_id


class OpsToken(models.Model):
    """A stored ops token. Deployment-wide: it may act on several tenants."""

    name = models.CharField(max_length=100, unique=True)
    token_hash = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=40))
    tenant_ids = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "ops_token"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(scopes__contained_by=sorted(SCOPES)), name="ops_token_scopes_known"
            )
        ]

    def __str__(self) -> str:
        return self.name
