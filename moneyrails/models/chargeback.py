"""The ledger of reversed payouts and what repaid them (spec 4)."""

import pgtrigger
from django.db import models
from django.db.models import F, Q

from moneyrails.models import fields, ledger_triggers
from moneyrails.states import EntryKind, ProviderMode
from settld.core.triggers import append_only


class PartyBalance(models.Model):
    """What one party still owes after reversals; its row lock orders everything that changes the debt.

    Nobody writes the sums: the database moves them as an entry is inserted, and refuses any other change.
    """

    id = fields.row_id()
    tenant_id = fields.tenant()
    party_id = fields.name()
    currency = fields.name(3)
    provider_mode = fields.word(ProviderMode)
    outstanding_cents = models.BigIntegerField(default=0)
    entry_count = models.BigIntegerField(db_default=0)
    last_reversed_at = models.DateTimeField(null=True)
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
        indexes = [
            models.Index(
                "tenant_id",
                F("outstanding_cents").desc(),
                F("id").desc(),
                name="balance_by_debt",
                condition=Q(last_reversed_at__isnull=False),
            )
        ]
        triggers = [
            pgtrigger.Trigger(
                name="sums_follow_entries",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(ledger_triggers.SUMS_CHANGE),
                func=ledger_triggers.ONLY_BY_ENTRIES,
            ),
            pgtrigger.Trigger(
                name="sums_begin_at_zero",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                condition=pgtrigger.Condition(ledger_triggers.SUMS_GIVEN),
                func=ledger_triggers.ONLY_BY_ENTRIES,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.party_id}: {self.outstanding_cents}"


class ChargebackEntry(models.Model):
    """One change of a party's debt; append-only.

    A reversal names the operation that was taken back. The three other kinds name the reversal they
    repay (or repay no longer), and a recovery or release also the payout key it was withheld from.
    `seq` and `outstanding_after_cents` are the database's to set: the place in the account, and what is
    owed from there on. Read them back before using them on a row just made.
    """

    id = fields.row_id()
    tenant_id = fields.tenant()
    party_id = fields.name()
    currency = fields.name(3)
    provider_mode = fields.word(ProviderMode)
    seq = models.BigIntegerField(default=0)
    kind = fields.word(EntryKind)
    amount_cents = models.BigIntegerField()
    outstanding_after_cents = models.BigIntegerField(default=0)
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
            models.UniqueConstraint(
                fields=["tenant_id", "party_id", "currency", "provider_mode", "seq"],
                name="entry_once_per_place",
            ),
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="entry_amount_positive"),
            models.CheckConstraint(
                condition=Q(outstanding_after_cents__gte=0), name="entry_leaves_no_negative_debt"
            ),
            fields.one_of("kind", EntryKind, name="entry_kind_known"),
            models.CheckConstraint(
                condition=Q(kind="reversal", reversal__isnull=True, operation__isnull=False)
                | Q(kind__in=["recovery", "release"], reversal__isnull=False) & ~Q(payout_key="")
                | Q(kind="adjustment", reversal__isnull=False),
                name="entry_names_its_cause",
            ),
        ]
        indexes = [models.Index(fields=["reversal"], name="entry_of_reversal")]
        triggers = [
            *append_only("chargeback_entry"),
            pgtrigger.Trigger(
                name="entry_posts",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                declare=[("change", "bigint"), ("whole", "bigint"), ("repaid", "numeric")],
                func=ledger_triggers.POST_ENTRY,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount_cents} {self.currency}"
