"""The sum at risk today, kept beside the operations it counts."""

from django.db import models
from django.db.models import Q

from moneyrails.models import fields
from moneyrails.states import ProviderMode


class ExposureCounter(models.Model):
    """Open payouts of one (tenant, mode, UTC day); always equal to their sum (ruling 18)."""

    id = fields.row_id()
    tenant_id = fields.tenant()
    provider_mode = fields.word(ProviderMode)
    day_key = fields.name(10)
    amount_cents = models.BigIntegerField()
    operation_count = models.IntegerField()

    class Meta:
        db_table = "exposure_counter"
        verbose_name = "exposure counter"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "provider_mode", "day_key"], name="exposure_once_per_day"
            ),
            models.CheckConstraint(
                condition=Q(amount_cents__gte=0, operation_count__gte=0), name="exposure_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider_mode} {self.day_key}: {self.amount_cents}"
