"""Files of party statements: as they were uploaded, and what an import made of them."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from settld.closing.statement_file import MOST_BYTES
from settld.core import ids
from settld.core.triggers import append_only


class StatementUpload(models.Model):
    """A file that waits to be confirmed: its bytes, and what the preview said would become of each row.

    It speaks of no money yet. It is removed a day after it came.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    file_name = models.CharField(max_length=200)
    file_hash = models.CharField(max_length=64)
    byte_count = models.PositiveIntegerField()
    content = models.BinaryField()
    foreseen = models.TextField()
    uploaded_by = models.CharField(max_length=255)
    uploaded_at = models.DateTimeField()

    class Meta:
        db_table = "statement_upload"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(byte_count__lte=MOST_BYTES), name="statement_upload_not_too_large"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "uploaded_at"], name="statement_upload_by_age"),
        ]

    def __str__(self) -> str:
        return self.file_name


class StatementImport(models.Model):
    """An import that was carried out: one per tenant and file content, never changed, never removed.

    `totals` is a list of {currency, statementCount, payoutCents, payableCents} over all rows of the file,
    `periods` of {period, status, newCount, replacedCount, unchangedCount}.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    file_name = models.CharField(max_length=200)
    file_hash = models.CharField(max_length=64)
    byte_count = models.PositiveIntegerField()
    row_count = models.PositiveIntegerField()
    new_count = models.PositiveIntegerField()
    replaced_count = models.PositiveIntegerField()
    unchanged_count = models.PositiveIntegerField()
    totals = models.JSONField()
    periods = models.JSONField()
    imported_by = models.CharField(max_length=255)
    imported_by_key_id = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=128, blank=True)
    imported_at = models.DateTimeField()

    class Meta:
        db_table = "statement_import"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "file_hash"], name="statement_import_once_per_file"),
            models.CheckConstraint(
                condition=Q(file_hash__regex=r"^[0-9a-f]{64}$"), name="statement_import_hash"
            ),
            models.CheckConstraint(
                condition=Q(row_count=F("new_count") + F("replaced_count") + F("unchanged_count")),
                name="statement_import_counts_add_up",
            ),
            models.CheckConstraint(condition=~Q(imported_by=""), name="statement_import_names_who"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "-imported_at", "-id"], name="statement_import_newest"),
        ]
        triggers = append_only("statement_import")

    def __str__(self) -> str:
        return self.file_name
