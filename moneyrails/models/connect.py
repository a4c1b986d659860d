"""Accounts at Stripe Connect that payouts may go to."""

import datetime as dt
from typing import Any

from django.db import models
from django.db.models import F, Q

from moneyrails.models import fields


class ConnectAccount(models.Model):
    """One connected account, as operators configured it and as the provider last described it.

    `kyb_last_sync_at` is when the newest try ended, failed or not; `kyb_seen_at` is when the look began
    that the KYB columns come from, so they are at least as new as that. Both by the database's clock.
    `provider_facts` is what else the provider said, for people; no rule reads it.
    """

    id = fields.row_id()
    tenant_id = fields.tenant()
    account_id = fields.name()
    party_id = fields.optional(200)
    party_role = fields.optional(40)
    status = models.CharField(
        max_length=10, default="active", choices=[("active", "active"), ("disabled", "disabled")]
    )
    disabled_by = models.CharField(
        max_length=10, blank=True, default="", choices=[("operator", "operator"), ("provider", "provider")]
    )
    payouts_enabled = models.BooleanField(default=True)
    transfers_enabled = models.BooleanField(default=True)
    is_default = models.BooleanField(default=False)
    kyb_status = models.CharField(max_length=12, blank=True, default="")
    kyb_currently_due: "models.JSONField[Any, Any]" = models.JSONField(default=list)
    kyb_pending_verification: "models.JSONField[Any, Any]" = models.JSONField(default=list)
    kyb_disabled_reason = fields.optional()
    kyb_last_sync_at = models.DateTimeField(null=True)
    kyb_last_sync_error: "models.JSONField[Any, Any]" = models.JSONField(null=True)
    kyb_seen_at = models.DateTimeField(null=True)
    provider_facts: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "stripe_connect_account"
        verbose_name = "Connect account"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "account_id"], name="connect_account_once"),
            models.UniqueConstraint(
                fields=["tenant_id", "party_id"],
                condition=~Q(party_id=""),
                name="connect_one_account_per_party",
            ),
            models.UniqueConstraint(
                fields=["tenant_id"], condition=Q(is_default=True), name="connect_one_default_per_tenant"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["active", "disabled"]), name="connect_status_known"
            ),
            models.CheckConstraint(
                condition=Q(status="active", disabled_by="") | Q(status="disabled") & ~Q(disabled_by=""),
                name="connect_disabled_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(kyb_status__in=["", "pending", "restricted", "verified", "rejected", "unknown"]),
                name="connect_kyb_status_known",
            ),
        ]
        indexes = [
            models.Index(
                "tenant_id", F("kyb_last_sync_at").asc(nulls_first=True), "id", name="connect_stalest"
            ),
            models.Index(fields=["account_id"], name="connect_by_account"),
            models.Index(fields=["tenant_id", "kyb_status", "account_id"], name="connect_by_kyb"),
            models.Index(fields=["tenant_id", "status", "account_id"], name="connect_by_status"),
            models.Index(
                fields=["tenant_id", "account_id"],
                name="connect_with_due",
                condition=~Q(kyb_currently_due=[]),
            ),
        ]

    def __str__(self) -> str:
        return self.account_id

    @property
    def counterparty_ref(self) -> str:
        """Spell the account as an operation's counterparty."""
        return f"stripe_connect:{self.account_id}"

    def is_eligible(self, *, now: dt.datetime, max_sync_age_seconds: int) -> bool:
        """Tell whether a payout may go there; an age of 0 asks for no recent sync (spec 2.5)."""
        return not self.obstacles(now=now, max_sync_age_seconds=max_sync_age_seconds)

    def obstacles(self, *, now: dt.datetime, max_sync_age_seconds: int) -> list[str]:
        """Name everything that keeps payouts from going there.

        The age is that of the newest look that succeeded: a failed one changes no eligibility, so it
        must not make an old snapshot young.
        """
        found = {
            "disabled": self.status != "active",
            "payouts_off": not self.payouts_enabled,
            "transfers_off": not self.transfers_enabled,
            "kyb_rejected": self.kyb_status == "rejected",
            "sync_too_old": self._is_older_than(max_sync_age_seconds, now=now),
        }
        return [name for name, stands in found.items() if stands]

    def _is_older_than(self, seconds: int, *, now: dt.datetime) -> bool:
        if not seconds:
            return False
        return self.kyb_seen_at is None or self.kyb_seen_at < now - dt.timedelta(seconds=seconds)
