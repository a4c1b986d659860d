"""Accounts, and what stands on them."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from settld.core import columns
from settld.core.triggers import append_only
from settld.ledger.states import SHARDS, TOTAL, Book


class LedgerAccount(models.Model):
    """A place where postings add up; once there, it never changes.

    `is_exact` says that a sufficiency rule looks at its balance, so the balance is kept in one row. Any
    other account is spread over several rows, so that writers need not wait for each other.
    """

    id = models.BigAutoField(primary_key=True)
    tenant_id = columns.tenant()
    account_id = columns.name(500)
    book = columns.word(Book)
    is_exact = models.BooleanField(default=False)
    display_name = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField()

    class Meta:
        db_table = "ledger_account"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "account_id"], name="ledger_account_once"),
            columns.one_of("book", Book, name="ledger_account_book"),
            models.CheckConstraint(
                condition=~Q(book=Book.GENERAL) | Q(is_exact=False), name="ledger_account_general_is_spread"
            ),
        ]
        triggers: ClassVar = append_only("ledger_account")

    def __str__(self) -> str:
        return self.account_id


class Balance(models.Model):
    """A part of what stands on an account: one day's change, or (bucket '') the sum of all days.

    Days are those of the entries' `at`, in UTC. The parts of an account differ by shard; their sum counts.
    """

    id = models.BigAutoField(primary_key=True)
    tenant_id = columns.tenant()
    account_id = columns.name(500)
    currency = columns.currency()
    bucket = models.CharField(max_length=10, blank=True, db_collation="C")
    shard = models.SmallIntegerField()
    amount_cents = models.BigIntegerField()

    class Meta:
        db_table = "ledger_balance"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "account_id", "currency", "bucket", "shard"],
                name="ledger_balance_once",
            ),
            models.CheckConstraint(condition=Q(shard__gte=0, shard__lt=SHARDS), name="ledger_balance_shard"),
            models.CheckConstraint(
                condition=Q(bucket__regex=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$"), name="ledger_balance_bucket"
            ),
        ]
        indexes: ClassVar = [
            # The totals alone, for listing accounts without passing over all their days.
            models.Index(
                fields=["tenant_id", "account_id", "currency"],
                condition=Q(bucket=TOTAL),
                name="ledger_balance_totals",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.bucket or 'total'}: {self.amount_cents} {self.currency}"
