"""What a tenant has used of one kind in one month."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from settld.core import columns
from settld.metering.states import EventType


class UsageCounter(models.Model):
    """The running sums of a month's events of one kind; always equal to the sums over the events.

    `amount_cents` adds up the billed currency only, amounts without a currency included. The row's lock
    is what makes a hard limit exact.
    """

    id = columns.row_id()
    tenant_id = columns.tenant()
    period = columns.name(7)
    event_type = columns.word(EventType)
    event_count = models.BigIntegerField()
    quantity = models.BigIntegerField()
    amount_cents = models.BigIntegerField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "billing_usage_counter"
        verbose_name = "usage counter"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "period", "event_type"], name="billing_usage_counter_once"
            ),
            columns.one_of("event_type", EventType, name="billing_usage_counter_type"),
            models.CheckConstraint(
                condition=Q(period__regex=columns.PERIOD_PATTERN), name="billing_usage_counter_period"
            ),
            models.CheckConstraint(
                condition=Q(event_count__gte=0, quantity__gte=0, amount_cents__gte=0),
                name="billing_usage_counter_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.period} {self.event_type}: {self.quantity}"
