"""One stored document."""

import json
from typing import Any, ClassVar

from django.db import models

from settld.core import ids
from settld.core.triggers import append_only

MOST_ID_CHARACTERS = 700


class Artifact(models.Model):
    """A document as it was hashed: canonical JSON, never changed, never deleted.

    `body` holds `artifactHash` too. The columns after it repeat what reconciliation looks documents
    up by, so that no sum or comparison has to parse them.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    artifact_id = models.CharField(max_length=MOST_ID_CHARACTERS)
    artifact_type = models.CharField(max_length=100)
    artifact_hash = models.CharField(max_length=64)
    body = models.TextField(help_text="canonical JSON, artifactHash included")
    period = models.CharField(max_length=7, null=True)  # noqa: DJ001  (absent is not blank)
    payout_key = models.CharField(max_length=MOST_ID_CHARACTERS, null=True)  # noqa: DJ001
    amount_cents = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=12, null=True)  # noqa: DJ001
    signature_key_id = models.CharField(max_length=200)
    signature_base64 = models.CharField(max_length=100)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "artifact"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "artifact_id"], name="artifact_identity"),
            models.CheckConstraint(
                condition=models.Q(artifact_hash__regex=r"^[0-9a-f]{64}$"), name="artifact_hash_is_sha256"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "artifact_type", "period"], name="artifact_type_period"),
            models.Index(
                fields=["tenant_id", "payout_key"],
                name="artifact_payout_key",
                condition=models.Q(payout_key__isnull=False),
            ),
        ]
        triggers: ClassVar = append_only("artifact")

    def __str__(self) -> str:
        return self.artifact_id

    @property
    def document(self) -> dict[str, Any]:
        """Give the document as JSON; its members keep the stored order."""
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed

    @property
    def signature(self) -> dict[str, str]:
        """Give the server's signature over the hash, as the wire has it."""
        return {
            "algorithm": "Ed25519",
            "keyId": self.signature_key_id,
            "signatureBase64": self.signature_base64,
        }
