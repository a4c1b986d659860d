"""What an agent has, and the receipts of money that came in."""

from typing import ClassVar, Final

from django.db import models
from django.db.models import F, Q

from settld.core import columns
from settld.core.triggers import append_only
from settld.kernel.states import FundingSource

MOST_TOTAL: Final = 2**63 - 1  # of what came and went over the years; what is there now stays an amount


class Wallet(models.Model):
    """One agent's money, in one currency. The columns repeat the wallet's two ledger accounts.

    Refunds count as credits on the wire, too, without money having come in; `total_refunded_cents` keeps
    their sum, so that what is there always equals what came, less what went (kernel spec 4).
    `locked_today_cents` are the locks of the UTC day `locked_on`.
    """

    id = columns.row_id()
    tenant_id = columns.tenant()
    wallet_id = columns.name(140)
    agent_id = columns.name(128)
    currency = columns.currency()
    available_cents = columns.cents(default=0)
    escrow_locked_cents = columns.cents(default=0)
    total_debited_cents = columns.cents(default=0)
    total_credited_cents = columns.cents(default=0)
    total_refunded_cents = columns.cents(default=0)
    locked_on = models.DateField(null=True, blank=True)
    locked_today_cents = columns.cents(default=0)
    revision = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "wallet"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "agent_id"], name="wallet_of_agent"),
            models.UniqueConstraint(fields=["tenant_id", "wallet_id"], name="wallet_once"),
            columns.is_currency("currency", name="wallet_currency"),
            columns.in_range("available_cents", name="wallet_available"),
            columns.in_range("escrow_locked_cents", name="wallet_escrow"),
            columns.in_range("total_debited_cents", name="wallet_debited", most=MOST_TOTAL),
            columns.in_range("total_credited_cents", name="wallet_credited", most=MOST_TOTAL),
            columns.in_range("total_refunded_cents", name="wallet_refunded", most=MOST_TOTAL),
            columns.in_range("locked_today_cents", name="wallet_locked_today", most=MOST_TOTAL),
            models.CheckConstraint(
                condition=Q(
                    available_cents=F("total_credited_cents")
                    - F("total_debited_cents")
                    - F("total_refunded_cents")
                    - F("escrow_locked_cents")
                ),
                name="wallet_adds_up",
            ),
        ]

    def __str__(self) -> str:
        return self.wallet_id


class FundingReceipt(models.Model):
    """Proof that money came into a wallet; append-only. A reference from outside is credited once."""

    id = columns.row_id()
    tenant_id = columns.tenant()
    receipt_id = columns.name(80)
    wallet_id = columns.name(140)
    agent_id = columns.name(128)
    amount_cents = columns.cents()
    currency = columns.currency()
    source_type = columns.word(FundingSource)
    external_ref = columns.optional(500)
    journal_entry_id = columns.name(200)
    receipt_hash = columns.name(64)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "funding_receipt"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "receipt_id"], name="funding_receipt_once"),
            models.UniqueConstraint(
                fields=["tenant_id", "source_type", "external_ref"],
                condition=Q(external_ref__isnull=False),
                name="funding_receipt_external_once",
            ),
            columns.in_range("amount_cents", name="funding_receipt_amount", least=1),
            columns.one_of("source_type", FundingSource, name="funding_receipt_source"),
            columns.is_hash("receipt_hash", name="funding_receipt_hash"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "agent_id", "created_at"], name="funding_receipt_of_agent")
        ]
        triggers: ClassVar = append_only("funding_receipt")

    def __str__(self) -> str:
        return self.receipt_id
