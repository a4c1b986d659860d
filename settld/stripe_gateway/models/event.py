"""What Stripe told us, as it said it."""

import json
from functools import cached_property
from typing import Any, Final

import pgtrigger
from django.db import models

SCRUBBED: Final = "{}"


class StripeEvent(models.Model):
    """One authentic event, stored once.

    Deployment-wide: an event is known before its tenant is. The payload is the text that Stripe
    signed, client secrets blanked, until retention empties it; `payload_sha256` is of the bytes as they
    came. `provider_created_at` is Stripe's clock and is never compared with ours.
    """

    id = models.BigAutoField(primary_key=True)
    provider = models.CharField(max_length=40, default="stripe")
    provider_event_id = models.CharField(max_length=191, db_collation="C")
    event_type = models.CharField(max_length=191)
    provider_api_version = models.CharField(max_length=40, blank=True, default="")
    provider_created_at = models.DateTimeField()
    livemode = models.BooleanField()
    object_id = models.CharField(max_length=191, db_collation="C", blank=True, default="")
    payload = models.TextField()
    payload_retention_until = models.DateTimeField(null=True, blank=True)
    payload_sha256 = models.CharField(max_length=64)
    received_at = models.DateTimeField()
    delivery_count = models.PositiveIntegerField(default=1)
    last_delivered_at = models.DateTimeField()

    class Meta:
        db_table = "billing_webhook_events"
        ordering = ("-received_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "provider_event_id"], name="billing_webhook_events_once"
            )
        ]
        indexes = [
            models.Index(fields=["object_id"], name="billing_webhook_events_object"),
            models.Index(fields=["-received_at", "-id"], name="billing_webhook_events_recent"),
            models.Index(
                fields=["payload_retention_until"],
                name="billing_webhook_events_payload",
                condition=models.Q(payload_retention_until__isnull=False),
            ),
        ]
        triggers = [pgtrigger.Protect(name="keep_webhook_events", operation=pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.event_type} {self.provider_event_id}"

    @property
    def is_scrubbed(self) -> bool:
        """Tell whether retention has emptied the payload."""
        return self.payload == SCRUBBED and self.payload_retention_until is None

    @cached_property
    def body(self) -> dict[str, Any]:
        """Give the event as Stripe's JSON object."""
        parsed: dict[str, Any] = json.loads(self.payload)
        return parsed

    @property
    def data_object(self) -> dict[str, Any]:
        """Give the thing that the event is about, as it was when it happened."""
        data = self.body.get("data")
        thing = data.get("object") if isinstance(data, dict) else None
        return thing if isinstance(thing, dict) else {}
