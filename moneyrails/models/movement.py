"""Our record that money moved."""

import pgtrigger
from django.db import models
from django.db.models import Q

from moneyrails.models import fields
from moneyrails.states import MovementKind, ProviderMode


class Movement(models.Model):
    """Money that moved, with the reference that explains it; append-only (A1)."""

    id = fields.row_id()
    tenant_id = fields.tenant()
    operation = models.ForeignKey(
        "moneyrails.Operation", on_delete=models.PROTECT, related_name="movements", db_index=False
    )
    kind = fields.word(MovementKind)
    provider_id = fields.name()
    provider_mode = fields.word(ProviderMode)
    provider_ref = fields.optional()
    amount_cents = models.BigIntegerField()
    currency = fields.name(3)
    reference_type = fields.name(40)
    reference_id = fields.name(900)
    provider_event = models.ForeignKey(
        "moneyrails.ProviderEvent",
        null=True,
        on_delete=models.PROTECT,
        related_name="movements",
        db_index=False,
    )
    at = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        db_table = "movement"
        constraints = [
            models.UniqueConstraint(fields=["operation", "kind"], name="movement_once_per_kind"),
            models.UniqueConstraint(
                fields=["tenant_id", "provider_id", "provider_ref", "kind"],
                condition=Q(provider_mode="production") & ~Q(provider_ref=""),
                name="movement_provider_ref_once",
            ),
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="movement_amount_positive"),
            models.CheckConstraint(
                condition=~Q(reference_type="") & ~Q(reference_id=""), name="movement_has_reference"
            ),
            models.CheckConstraint(
                condition=~Q(kind="reversal") | Q(provider_event__isnull=False),
                name="movement_reversal_has_event",
            ),
            fields.one_of("kind", MovementKind, name="movement_kind_known"),
        ]
        indexes = [
            models.Index(
                fields=["tenant_id", "recorded_at"],
                condition=Q(kind="transfer", provider_mode="production"),
                name="movement_sent_lately",
            ),
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount_cents} {self.currency}"
