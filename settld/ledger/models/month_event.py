"""One event in the life of a month."""

from typing import Any, ClassVar

from django.db import models

from settld.core import clock, ids
from settld.core.triggers import append_only


class MonthEvent(models.Model):
    """A chained and signed event; append-only.

    `payload_hash` covers the event itself, `chain_hash` that and the event before it; the server
    signs the chain hash.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    stream_id = models.CharField(max_length=100)
    seq = models.PositiveIntegerField()
    event_id = models.CharField(max_length=100)
    type = models.CharField(max_length=50)
    at = models.DateTimeField()
    actor = models.JSONField()
    payload = models.JSONField()
    payload_hash = models.CharField(max_length=64)
    prev_chain_hash = models.CharField(max_length=64, null=True)  # noqa: DJ001  (null opens a stream)
    chain_hash = models.CharField(max_length=64)
    signature_key_id = models.CharField(max_length=200)
    signature_base64 = models.CharField(max_length=100)

    class Meta:
        db_table = "month_event"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "stream_id", "seq"], name="month_event_seq"),
            models.UniqueConstraint(
                fields=["tenant_id", "stream_id", "prev_chain_hash"],
                name="month_event_chain",
                nulls_distinct=False,
            ),
            models.UniqueConstraint(fields=["tenant_id", "event_id"], name="month_event_identity"),
            models.CheckConstraint(
                condition=models.Q(seq=1, prev_chain_hash__isnull=True)
                | models.Q(seq__gt=1, prev_chain_hash__isnull=False),
                name="month_event_opens_stream",
            ),
        ]
        triggers: ClassVar = append_only("month_event")

    def __str__(self) -> str:
        return f"{self.stream_id} {self.seq} {self.type}"

    def as_json(self) -> dict[str, Any]:
        """Shape the event for the wire; the same bytes whether it was just made or read back."""
        return {
            "v": 1,
            "id": self.event_id,
            "type": self.type,
            "streamId": self.stream_id,
            "seq": self.seq,
            "at": clock.iso(self.at),
            "actor": dict(sorted(self.actor.items())),
            "payload": dict(sorted(self.payload.items())),
            "payloadHash": self.payload_hash,
            "prevChainHash": self.prev_chain_hash,
            "chainHash": self.chain_hash,
            "signature": {
                "algorithm": "Ed25519",
                "keyId": self.signature_key_id,
                "signatureBase64": self.signature_base64,
            },
        }
