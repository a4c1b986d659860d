"""Public keys of those who sign events."""

import datetime as dt
from typing import ClassVar

from django.db import models
from django.db.models import Q

from settld.core import ids


class SignerPurpose(models.TextChoices):
    """Whose key it is."""

    ROBOT = "robot", "Robot"
    OPERATOR = "operator", "Operator"
    SERVER = "server", "Server"


class SignerStatus(models.TextChoices):
    """Whether the key may sign anything new; revoked is its end."""

    ACTIVE = "active", "Active"
    ROTATED = "rotated", "Rotated"
    REVOKED = "revoked", "Revoked"


class SignerKey(models.Model):
    """An Ed25519 public key of one tenant, named by its own content; earlier signatures stay verifiable."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    key_id = models.CharField(max_length=40)
    public_key_pem = models.TextField()
    purpose = models.CharField(max_length=16, choices=SignerPurpose.choices, default=SignerPurpose.ROBOT)
    status = models.CharField(max_length=16, choices=SignerStatus.choices, default=SignerStatus.ACTIVE)
    description = models.CharField(max_length=500, blank=True)
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_to = models.DateTimeField(null=True, blank=True)
    rotated_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "signer_key"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "key_id"], name="signer_key_id"),
            models.CheckConstraint(
                condition=Q(purpose__in=SignerPurpose.values), name="signer_key_purpose_known"
            ),
            models.CheckConstraint(
                condition=Q(status__in=SignerStatus.values), name="signer_key_status_known"
            ),
            models.CheckConstraint(
                condition=Q(status="revoked", revoked_at__isnull=False)
                | (~Q(status="revoked") & Q(revoked_at__isnull=True)),
                name="signer_key_revoked_at",
            ),
            models.CheckConstraint(
                condition=Q(valid_from__isnull=True)
                | Q(valid_to__isnull=True)
                | Q(valid_to__gt=models.F("valid_from")),
                name="signer_key_window",
            ),
        ]

    def __str__(self) -> str:
        return self.key_id

    def may_sign(self, *, at: dt.datetime) -> bool:
        """Tell whether something new may be signed with the key at an instant."""
        begins = self.valid_from is None or self.valid_from <= at
        ends = self.valid_to is not None and self.valid_to <= at
        return self.status == SignerStatus.ACTIVE and begins and not ends
