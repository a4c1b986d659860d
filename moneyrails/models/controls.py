"""A tenant's rules for its rails."""

import datetime as dt
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from moneyrails.models import fields
from moneyrails.states import BalanceMode


class MoneyRailControls(models.Model):
    """One row per tenant; its row lock is the tenant payout lock (ruling 18).

    Whoever sends money holds the row FOR SHARE until commit, whoever changes a rule holds it FOR UPDATE:
    when a stop has been answered, nothing that missed it is still on its way to commit. An advisory lock
    taken before the row's keeps the queue, so a stop is not held off by payouts that keep coming
    (payout_facts). The row is made
    on first need with the defaults; `configured_at` stays empty until somebody sets the controls.

    A stop may name an instant at which it was meant to end. Nothing lifts it then: whoever looks is asked.
    `four_eyes` empty follows the deployment.
    """

    id = fields.row_id()
    tenant_id = models.CharField(max_length=200, db_collation="C", unique=True)
    real_money_enabled = models.BooleanField(default=False)
    payout_kill_switch = models.BooleanField(default=False)
    kill_switch_reason = models.CharField(max_length=500, blank=True, default="", db_default="")
    kill_switch_expires_at = models.DateTimeField(null=True)
    kill_switch_set_by = models.CharField(max_length=255, blank=True, default="", db_default="")
    kill_switch_set_at = models.DateTimeField(null=True)
    four_eyes = models.BooleanField(null=True)
    max_payout_amount_cents = models.BigIntegerField(null=True)
    daily_payout_limit_cents = models.BigIntegerField(null=True)
    allowed_provider_ids: "models.JSONField[Any, Any]" = models.JSONField(null=True)
    daily_mismatch_alert_threshold = models.IntegerField(null=True)
    has_connect = models.BooleanField(default=True)
    connect_enabled = models.BooleanField(default=False)
    connect_updated_at = models.DateTimeField(null=True)
    has_chargeback_policy = models.BooleanField(default=True)
    chargeback_enabled = models.BooleanField(default=False)
    negative_balance_mode = models.CharField(
        max_length=4, choices=BalanceMode.choices, default=BalanceMode.HOLD
    )
    max_outstanding_cents = models.BigIntegerField(null=True)
    chargeback_updated_at = models.DateTimeField(null=True)
    configured_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "money_rail_controls"
        verbose_name = "money rail controls"
        verbose_name_plural = "money rail controls"
        constraints = [
            models.CheckConstraint(
                condition=(Q(max_payout_amount_cents__isnull=True) | Q(max_payout_amount_cents__gte=0))
                & (Q(daily_payout_limit_cents__isnull=True) | Q(daily_payout_limit_cents__gte=0))
                & (Q(max_outstanding_cents__isnull=True) | Q(max_outstanding_cents__gte=0))
                & (Q(daily_mismatch_alert_threshold__isnull=True) | Q(daily_mismatch_alert_threshold__gte=1)),
                name="controls_limits_not_negative",
            ),
            fields.one_of("negative_balance_mode", BalanceMode, name="controls_balance_mode_known"),
            models.CheckConstraint(
                condition=Q(payout_kill_switch=True)
                | Q(
                    kill_switch_reason="",
                    kill_switch_expires_at__isnull=True,
                    kill_switch_set_by="",
                    kill_switch_set_at__isnull=True,
                ),
                name="controls_stop_facts_only_while_stopped",
            ),
        ]

    def __str__(self) -> str:
        return f"controls of {self.tenant_id}"

    @property
    def has_four_eyes(self) -> bool:
        """Tell whether loosening a rule needs a second person."""
        return bool(settings.FOUR_EYES) if self.four_eyes is None else self.four_eyes

    def is_stop_overdue(self, now: dt.datetime) -> bool:
        """Tell whether the stop in force has outlived the instant that it was meant to end at."""
        return (
            self.payout_kill_switch
            and self.kill_switch_expires_at is not None
            and self.kill_switch_expires_at <= now
        )

    @property
    def is_configured(self) -> bool:
        """Tell whether anybody ever set them."""
        return self.configured_at is not None
