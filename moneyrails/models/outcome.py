"""What became of a payout key."""

from typing import Any

from django.db import models
from django.db.models import Q

from moneyrails.models import fields
from moneyrails.states import OutcomeKind


class PayoutOutcome(models.Model):
    """The one answer that a payout key has, with what a repeated request must agree with."""

    id = fields.row_id()
    tenant_id = fields.tenant()
    payout_key = fields.name(900)
    party_id = fields.name()
    period = fields.name(7)
    kind = fields.word(OutcomeKind)
    operation = models.OneToOneField(
        "moneyrails.Operation",
        null=True,
        on_delete=models.PROTECT,
        related_name="outcome",
        db_constraint=True,
    )
    provider_id = fields.name()
    requested_counterparty_ref = fields.optional()
    counterparty_ref = fields.name(600)
    response: "models.JSONField[Any, Any]" = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "payout_outcome"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "payout_key"], name="outcome_once_per_payout_key"),
            models.UniqueConstraint(
                fields=["tenant_id", "party_id", "period"],
                condition=Q(kind="offset"),
                name="outcome_one_offset_per_period",
            ),
            fields.one_of("kind", OutcomeKind, name="outcome_kind_known"),
            models.CheckConstraint(
                condition=Q(kind="operation", operation__isnull=False)
                | Q(kind="offset", operation__isnull=True),
                name="outcome_operation_matches_kind",
            ),
        ]
        indexes = [models.Index(fields=["tenant_id", "party_id", "period"], name="outcome_of_party")]

    def __str__(self) -> str:
        return f"{self.kind} {self.payout_key}"
