"""What the provider says it moved: its statement, line by line, and how far we have read it."""

from django.db import models
from django.db.models import Q

from moneyrails.models import fields
from reconciliation.states import Attribution


class ProviderTransfer(models.Model):
    """One transfer as the provider last described it, filed under the tenant that it belongs to.

    `period` is the payout's month when the transfer names a payout, else the month in which it was made.
    A line that turns out to belong to another tenant stays, with `withdrawn_at`, and counts no more.
    `content_hash` covers everything that the provider said, so that a line read again unchanged is no write.
    """

    id = fields.row_id()
    tenant_id = fields.tenant()
    provider_id = fields.name()
    transfer_id = fields.name(255)
    period = fields.name(7)
    payout_key = fields.optional(900)
    operation_ref = fields.optional(900)
    amount_cents = models.BigIntegerField()
    amount_reversed_cents = models.BigIntegerField(default=0)
    currency = fields.name(10)
    destination = fields.name(255)
    transfer_group = fields.optional(900)
    provider_created_at = models.DateTimeField()
    reversed_at = models.DateTimeField(null=True)
    attributed_by = fields.word(Attribution)
    content_hash = fields.name(64)
    first_seen_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "provider_transfer"
        verbose_name = "provider transfer"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "transfer_id"], name="provider_transfer_once"),
            models.CheckConstraint(
                condition=Q(amount_cents__gte=0, amount_reversed_cents__gte=0),
                name="provider_transfer_amounts_not_negative",
            ),
            fields.one_of("attributed_by", Attribution, name="provider_transfer_attribution_known"),
        ]
        indexes = [
            models.Index(
                fields=["tenant_id", "provider_id", "period", "payout_key"],
                condition=Q(withdrawn_at__isnull=True),
                name="provider_transfer_of_period",
            ),
        ]

    def __str__(self) -> str:
        return self.transfer_id


class ProviderPeriod(models.Model):
    """One month of one provider's statement, counted on with each change of a line.

    A comparison notes the revision that it began with, so a line that is filed beside it is not lost on it.
    """

    id = fields.row_id()
    tenant_id = fields.tenant()
    provider_id = fields.name()
    period = fields.name(7)
    revision = models.PositiveIntegerField(default=0)
    compared_revision = models.PositiveIntegerField(default=0)
    changed_at = models.DateTimeField()
    compared_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "provider_statement_period"
        verbose_name = "provider statement period"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "provider_id", "period"], name="provider_statement_period_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider_id} {self.period}"


class StatementCursor(models.Model):
    """How far a provider's list has been read. Deployment-wide: a line's owner is known once it is read.

    A read under way has `opened_at`, goes back to `since` and goes on after `starting_after`. What ended
    has moved the coverage: everything made from `covered_from` up to our clock's `covered_at` was in it.
    Instants named created, since, from and to are the provider's; the others are ours.
    """

    id = fields.row_id()
    source = fields.name(20)
    kind = fields.name(20)
    opened_at = models.DateTimeField(null=True)
    since = models.DateTimeField(null=True)
    starting_after = fields.optional(255)
    newest_created_at = models.DateTimeField(null=True)
    pages = models.PositiveIntegerField(default=0)
    lines = models.PositiveIntegerField(default=0)
    unreadable = models.PositiveIntegerField(default=0)
    covered_from = models.DateTimeField(null=True)
    covered_to = models.DateTimeField(null=True)
    covered_at = models.DateTimeField(null=True)
    error_code = fields.optional(60)
    error = fields.optional(500)
    error_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "provider_statement_cursor"
        verbose_name = "provider statement cursor"
        constraints = [
            models.UniqueConstraint(fields=["source", "kind"], name="provider_statement_cursor_once"),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.kind}"
