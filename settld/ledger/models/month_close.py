"""One period of a tenant, the row that posting locks shared and closing locks exclusively."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from settld.core import ids

BASES = ("settledAt",)
PERIOD_PATTERN = r"^[0-9]{4}-(0[1-9]|1[0-2])$"


class MonthStatus(models.TextChoices):
    """Whether the books of a month can still change."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"


class MonthClose(models.Model):
    """A month of a tenant's books. A row without `requested_at` is a month that nobody asked to close yet.

    `generation` counts closes: it grows when the month is reopened. While `request_pending`,
    `last_event_id` names the request that the worker has to carry out.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    month = models.CharField(max_length=7)
    basis = models.CharField(max_length=20, default="settledAt")
    status = models.CharField(max_length=6, choices=MonthStatus.choices, default=MonthStatus.OPEN)
    request_pending = models.BooleanField(default=False)
    generation = models.PositiveIntegerField(default=1)
    requested_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    reopened_at = models.DateTimeField(null=True)
    statement_artifact_id = models.CharField(max_length=700, null=True)  # noqa: DJ001  (null on the wire)
    statement_artifact_hash = models.CharField(max_length=64, null=True)  # noqa: DJ001
    last_event_id = models.CharField(max_length=100, null=True)  # noqa: DJ001
    last_chain_hash = models.CharField(max_length=64, null=True)  # noqa: DJ001
    last_attempt = models.JSONField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "month_close"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "month", "basis"], name="month_close_identity"),
            models.CheckConstraint(condition=Q(status__in=MonthStatus.values), name="month_close_status"),
            models.CheckConstraint(condition=Q(basis__in=BASES), name="month_close_basis"),
            models.CheckConstraint(condition=Q(month__regex=PERIOD_PATTERN), name="month_close_month"),
            models.CheckConstraint(condition=Q(generation__gte=1), name="month_close_generation"),
            models.CheckConstraint(
                condition=Q(status=MonthStatus.CLOSED, closed_at__isnull=False)
                | Q(status=MonthStatus.OPEN, closed_at__isnull=True),
                name="month_close_closed_at",
            ),
            models.CheckConstraint(
                condition=Q(request_pending=False)
                | Q(status=MonthStatus.OPEN, requested_at__isnull=False, last_event_id__isnull=False),
                name="month_close_pending_is_open",
            ),
            models.CheckConstraint(
                condition=Q(
                    last_event_id__isnull=True, last_chain_hash__isnull=True, requested_at__isnull=True
                )
                | Q(last_event_id__isnull=False, last_chain_hash__isnull=False, requested_at__isnull=False),
                name="month_close_events",
            ),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True) | Q(closed_at__gte=F("requested_at")),
                name="month_close_after_request",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["tenant_id", "requested_at"],
                name="month_close_pending",
                condition=Q(request_pending=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.month} {self.status}"

    @property
    def stream_id(self) -> str:
        """Name the stream of this month's events."""
        return f"month_close_{self.month}_{self.basis}"

    @property
    def is_closed(self) -> bool:
        """Tell whether the month's books are frozen."""
        return self.status == MonthStatus.CLOSED
