"""The ledger of reversed payouts and what repaid them (spec 4)."""

import pgtrigger
from django.db import models
from django.db.models import Q

from moneyrails.models import fields
from moneyrails.states import EntryKind, ProviderMode


class PartyBalance(models.Model):
    """What one party still owes after reversals; its row lock orders everything that changes the debt."""

    id = fields.row_id()
    tenant_id = fields.tenant()
    party_id = fields.name()
    currency = fields.name(3)
    provider_mode = fields.word(ProviderMode)
    outstanding_cents = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "party_balance"
        verbose_name = "party balance"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "party_id", "currency", "provider_mode"], name="balance_once_per_party"
            ),
            models.CheckConstraint(condition=Q(outstanding_cents__gte=0), name="balance_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.party_id}: {self.outstanding_cents}"


class ChargebackEntry(models.Model):
    """One change of a party's debt; append-only.

    A reversal names the operation that was taken back. The three other kinds name the reversal they
    repay (or repay no longer), and a recovery or release also the payout key it was withheld from.
    """

    id = fields.row_id()
    tenant_id = fields.tenant()
    party_id = fields.name()
    currency = fields.name(3)
    provider_mode = fields.word(ProviderMode)
    kind = fields.word(EntryKind)
    amount_cents = models.BigIntegerField()
    operation = models.ForeignKey(
        "moneyrails.Operation", null=True, on_delete=models.PROTECT, related_name="chargeback_entries"
    )
    payout_key = fields.optional(900)
    reversal = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT, related_name="repayments", db_index=False
    )
    reason_code = fields.optional()
    note = fields.optional(2000)
    recorded_by = fields.name()
    at = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        db_table = "chargeback_entry"
        verbose_name = "chargeback entry"
        verbose_name_plural = "chargeback entries"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "operation"],
                condition=Q(kind="reversal"),
                name="entry_one_reversal_per_operation",
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "payout_key", "reversal", "kind"],
                condition=Q(kind__in=["recovery", "release"]),
                name="entry_once_per_payout_and_reversal",
            ),
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="entry_amount_positive"),
            fields.one_of("kind", EntryKind, name="entry_kind_known"),
            models.CheckConstraint(
                condition=Q(kind="reversal", reversal__isnull=True, operation__isnull=False)
                | Q(kind__in=["recovery", "release"], reversal__isnull=False) & ~Q(payout_key="")
                | Q(kind="adjustment", reversal__isnull=False),
                name="entry_names_its_cause",
            ),
        ]
        indexes = [
            models.Index(
                fields=["tenant_id", "party_id", "currency", "provider_mode"], name="entry_of_party"
            ),
            models.Index(fields=["reversal"], name="entry_of_reversal"),
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount_cents} {self.currency}"
