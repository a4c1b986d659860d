"""What one party is owed for one month, in one role and currency."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Collate

from settld.closing import documents
from settld.core import columns, ids
from settld.core.money import MAX_MINOR


class StatementStatus(models.TextChoices):
    """Whether the statement can still be replaced."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"


class StatementSource(models.TextChoices):
    """Who wrote the statement: a caller, or the ledger at the close."""

    MANUAL = "manual"
    DERIVED = "derived"


class PartyStatement(models.Model):
    """A statement: one content of it per row.

    Its key is (tenant, party, period, role, currency, generation). An OPEN row of the month's own
    generation is replaced in place. A row that an earlier close had frozen is kept: other content
    sets `superseded_at` on it and stands in a new row.

    A derived row also says how its pay came about: what the period itself earned, and what was carried in
    from earlier periods and is carried on. `carry out - carry in` is what it leaves open.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    party_id = models.CharField(max_length=400)
    period = models.CharField(max_length=7)
    party_role = models.CharField(max_length=64)
    currency = models.CharField(max_length=12)
    generation = models.PositiveIntegerField()
    basis = models.CharField(max_length=20, default="settledAt")
    status = models.CharField(max_length=6, choices=StatementStatus.choices)
    source = models.CharField(max_length=10, choices=StatementSource.choices)
    payout_cents = models.BigIntegerField()
    period_payout_cents = models.BigIntegerField(null=True)
    payable_carry_in_cents = models.BigIntegerField(default=0, db_default=0)
    payable_carry_out_cents = models.BigIntegerField(default=0, db_default=0)
    allocation_count = models.PositiveBigIntegerField(null=True)
    payable_after = models.DateTimeField(null=True)
    references = models.JSONField(default=list)
    statement_hash = models.CharField(max_length=64)
    artifact_id = models.CharField(max_length=700)
    artifact_hash = models.CharField(max_length=64)
    closed_at = models.DateTimeField(null=True)
    superseded_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "party_statement"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "party_id", "period", "party_role", "currency", "generation"],
                name="party_statement_identity",
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "party_id", "period", "party_role", "currency"],
                condition=Q(superseded_at__isnull=True),
                name="party_statement_current",
            ),
            models.CheckConstraint(
                condition=Q(status__in=StatementStatus.values), name="party_statement_status"
            ),
            models.CheckConstraint(
                condition=Q(source__in=StatementSource.values), name="party_statement_source"
            ),
            models.CheckConstraint(
                condition=Q(status=StatementStatus.CLOSED, closed_at__isnull=False)
                | Q(status=StatementStatus.OPEN, closed_at__isnull=True),
                name="party_statement_closed_at",
            ),
            models.CheckConstraint(
                condition=Q(payout_cents__gte=-MAX_MINOR, payout_cents__lte=MAX_MINOR),
                name="party_statement_amount",
            ),
            models.CheckConstraint(
                condition=Q(statement_hash=models.F("artifact_hash")), name="party_statement_one_hash"
            ),
            columns.is_currency("currency", name="party_statement_currency"),
            models.CheckConstraint(
                condition=Q(
                    source="manual",
                    period_payout_cents__isnull=True,
                    payable_carry_in_cents=0,
                    payable_carry_out_cents=0,
                    allocation_count__isnull=True,
                )
                | Q(
                    source="derived",
                    period_payout_cents__isnull=False,
                    allocation_count__isnull=False,
                ),
                name="party_statement_derivation",
            ),
            models.CheckConstraint(
                condition=Q(period_payout_cents__isnull=True)
                | Q(payout_cents=0)
                | Q(payout_cents=models.F("period_payout_cents") + models.F("payable_carry_in_cents")),
                name="party_statement_carry",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "period", "status"], name="party_statement_period"),
            models.Index(
                "tenant_id",
                "period",
                Collate("party_id", "C"),
                Collate("party_role", "C"),
                Collate("currency", "C"),
                condition=Q(superseded_at__isnull=True),
                name="party_statement_listing",
            ),
            models.Index(
                fields=["tenant_id", "party_id", "party_role", "currency"],
                name="party_statement_open_carry",
                condition=Q(source="derived", superseded_at__isnull=True)
                & ~Q(payable_carry_in_cents=models.F("payable_carry_out_cents")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.party_id} {self.period} {self.status}"

    @property
    def payable_cents(self) -> int:
        """Tell what may be paid out for it."""
        return documents.payable_cents(party_role=self.party_role, payout_cents=self.payout_cents)

    @property
    def payout_key(self) -> str:
        """Name the one payout that it can lead to."""
        return documents.payout_key(
            tenant_id=self.tenant_id,
            party_id=self.party_id,
            period=self.period,
            statement_hash=self.statement_hash,
        )
