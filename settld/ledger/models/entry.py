"""Journal entries, their postings, and the parties that the postings are attributed to."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from settld.core import columns
from settld.core.money import MAX_MINOR
from settld.core.triggers import append_only
from settld.ledger.models import journal_triggers
from settld.ledger.states import Book


class JournalEntry(models.Model):
    """A balanced event; append-only. A correction is a reversing entry.

    `posting_count` and `share_count` say how many postings and allocations belong to it, so that none can be
    added later; `content_hash` covers them.
    """

    id = models.BigAutoField(primary_key=True)
    tenant_id = columns.tenant()
    entry_id = columns.name(1000)
    book = columns.word(Book)
    period = columns.name(7)
    at = models.DateTimeField()
    memo = models.CharField(max_length=1200, blank=True)
    source_type = columns.name(60)
    source_id = columns.name(1000)
    reason = models.CharField(max_length=1000, blank=True, default="")
    posting_count = models.SmallIntegerField()
    share_count = models.SmallIntegerField(default=0, db_default=0)
    content_hash = columns.name(64)
    recorded_at = models.DateTimeField()

    class Meta:
        db_table = "ledger_entry"
        verbose_name_plural = "journal entries"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "entry_id"], name="ledger_entry_once"),
            columns.one_of("book", Book, name="ledger_entry_book"),
            models.CheckConstraint(
                condition=Q(period__regex=columns.PERIOD_PATTERN), name="ledger_entry_period"
            ),
            models.CheckConstraint(condition=Q(posting_count__gte=2), name="ledger_entry_postings"),
            columns.is_hash("content_hash", name="ledger_entry_hash"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "book", "period", "at", "id"], name="ledger_entry_listing"),
            models.Index(fields=["tenant_id", "source_type", "source_id"], name="ledger_entry_source"),
        ]
        triggers: ClassVar = [
            *append_only("ledger_entry"),
            journal_triggers.PERIOD_OPEN,
            journal_triggers.ENTRY_BALANCED,
        ]

    def __str__(self) -> str:
        return self.entry_id


class Posting(models.Model):
    """One signed line of an entry; positive is debit (in books escrow and prepaid: more)."""

    id = models.BigAutoField(primary_key=True)
    tenant_id = columns.tenant()
    entry_id = columns.name(1000)
    posting_no = models.SmallIntegerField()
    account_id = columns.name(500)
    book = columns.word(Book)
    currency = columns.currency()
    amount_cents = models.BigIntegerField()
    period = columns.name(7)
    at = models.DateTimeField()

    class Meta:
        db_table = "ledger_posting"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "entry_id", "posting_no"], name="ledger_posting_once"
            ),
            models.CheckConstraint(
                condition=~Q(amount_cents=0) & Q(amount_cents__gte=-MAX_MINOR, amount_cents__lte=MAX_MINOR),
                name="ledger_posting_amount",
            ),
            columns.is_currency("currency", name="ledger_posting_currency"),
            columns.one_of("book", Book, name="ledger_posting_book"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "account_id", "at", "id"], name="ledger_posting_of_account"),
        ]
        triggers: ClassVar = [*append_only("ledger_posting"), journal_triggers.POSTING_BALANCED]

    def __str__(self) -> str:
        return f"{self.entry_id} p{self.posting_no}"

    @property
    def posting_id(self) -> str:
        """Name the line within its entry, as documents do."""
        return f"p{self.posting_no}"


class Allocation(models.Model):
    """The share of a general posting that is one party's; the shares add up to the posting."""

    id = models.BigAutoField(primary_key=True)
    tenant_id = columns.tenant()
    entry_id = columns.name(1000)
    posting_no = models.SmallIntegerField()
    account_id = columns.name(500)
    party_id = columns.name(400)
    party_role = columns.name(64)
    currency = columns.currency()
    amount_cents = models.BigIntegerField()
    period = columns.name(7)

    class Meta:
        db_table = "ledger_allocation"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "entry_id", "posting_no", "party_id", "party_role"],
                name="ledger_allocation_once",
            ),
            models.CheckConstraint(condition=~Q(amount_cents=0), name="ledger_allocation_amount"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "period", "party_id"], name="ledger_allocation_of_party"),
        ]
        triggers: ClassVar = [*append_only("ledger_allocation"), journal_triggers.ALLOCATION_COMPLETE]

    def __str__(self) -> str:
        return f"{self.entry_id} p{self.posting_no} {self.party_id}"
