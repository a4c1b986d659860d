"""The documents of a close, per generation, and the bundle made of them."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from settld.core import columns
from settld.core.triggers import append_only


class DocumentKind(models.TextChoices):
    """What a document of a month is."""

    MONTHLY_STATEMENT = "monthly_statement"
    HELD_ROLLFORWARD = "held_rollforward"
    GL_BATCH = "gl_batch"
    JOURNAL_CSV = "journal_csv"
    FINANCE_PACK = "finance_pack"
    NET_CLOSE = "net_close"


class MonthDocument(models.Model):
    """Which artifact is a month's GL batch, rollforward and so on; one current one of each kind.

    A reopened month has none: `superseded_at` is set, and nothing reads the row again.
    """

    id = columns.row_id()
    tenant_id = columns.tenant()
    month = columns.name(7)
    basis = columns.name(20)
    generation = models.PositiveIntegerField()
    kind = columns.word(DocumentKind)
    artifact_id = columns.name(700)
    artifact_hash = columns.name(64)
    superseded_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "month_document"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant_id", "month", "basis", "generation", "kind"], name="month_document_identity"
            ),
            models.UniqueConstraint(
                fields=["tenant_id", "month", "basis", "kind"],
                condition=Q(superseded_at__isnull=True),
                name="month_document_current",
            ),
            columns.one_of("kind", DocumentKind, name="month_document_kind"),
            columns.is_hash("artifact_hash", name="month_document_hash"),
            models.CheckConstraint(condition=Q(generation__gte=1), name="month_document_generation"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["tenant_id", "kind", "-month"],
                name="month_document_newest",
                condition=Q(superseded_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.month} {self.kind} {self.generation}"


class FinancePack(models.Model):
    """The bytes of a finance pack, named by their hash; append-only."""

    id = columns.row_id()
    tenant_id = columns.tenant()
    month = columns.name(7)
    bundle_hash = columns.name(64)
    content = models.BinaryField()
    byte_count = models.PositiveBigIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "finance_pack"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "month", "bundle_hash"], name="finance_pack_once"),
            columns.is_hash("bundle_hash", name="finance_pack_hash"),
        ]
        triggers: ClassVar = append_only("finance_pack")

    def __str__(self) -> str:
        return f"{self.month} {self.bundle_hash}"
