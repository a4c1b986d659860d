"""A case where two sides differ, kept from the first time it was seen."""

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.fields.json import KT
from django.db.models.functions import MD5, Coalesce

from reconciliation.states import SEVERITY_RANKS, Severity, SourceType, TriageStatus
from settld.core import ids

# A decision made about other content than the case has now no longer closes it.
DRIFTED = (
    Q(resolved_at__isnull=False) & ~Q(triage_mismatch_hash="") & ~Q(triage_mismatch_hash=F("mismatch_hash"))
)
OPEN = Q(cleared_at__isnull=True) & (Q(resolved_at__isnull=True) | DRIFTED)


class Mismatch(models.Model):
    """One difference, identified by its triage key, whichever run finds it again.

    `cleared_at` is set by the run that no longer finds it, and taken back by one that does. The
    columns from `triage_status` to `resolved_at` repeat the standing decision (Triage) for the queue and
    are written by the triage verb alone. A row is open while it is neither cleared nor resolved, or when
    it was resolved and differs now from what the decision saw.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    tenant_id = models.CharField(max_length=200)
    triage_key = models.CharField(max_length=64)
    source_type = models.CharField(max_length=32, choices=SourceType.choices)
    period = models.CharField(max_length=7, blank=True)
    provider_id = models.CharField(max_length=200, blank=True)
    mismatch_type = models.CharField(max_length=64)
    mismatch_key = models.TextField()
    mismatch_code = models.CharField(max_length=100)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    details = models.JSONField()
    mismatch_hash = models.CharField(max_length=64)
    last_report_hash = models.CharField(max_length=64, blank=True)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    cleared_at = models.DateTimeField(null=True, blank=True)
    triage_status = models.CharField(
        max_length=12, choices=TriageStatus.choices, default=TriageStatus.OPEN, db_default=TriageStatus.OPEN
    )
    triage_severity = models.CharField(
        max_length=8, choices=Severity.choices, blank=True, default="", db_default=""
    )
    triage_owner = models.CharField(max_length=200, blank=True, default="", db_default="")
    triage_revision = models.PositiveIntegerField(default=0, db_default=0)
    triage_mismatch_hash = models.CharField(max_length=64, blank=True, default="", db_default="")
    resolved_at = models.DateTimeField(null=True, blank=True)
    severity_rank = models.GeneratedField(
        expression=Case(
            *(
                When(Q(triage_severity=name) | Q(triage_severity="", severity=name), then=Value(rank))
                for name, rank in SEVERITY_RANKS.items()
            ),
            default=Value(len(SEVERITY_RANKS)),
        ),
        output_field=models.SmallIntegerField(),
        db_persist=True,
    )

    # The operation that the case is about, else its key; hashed, for keys may be longer than an index takes.
    subject_hash = models.GeneratedField(
        expression=MD5(Coalesce(KT("details__operationId"), F("mismatch_key"))),
        output_field=models.CharField(max_length=32),
        db_persist=True,
    )

    class Meta:
        db_table = "mismatch"
        verbose_name_plural = "mismatches"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "triage_key"], name="mismatch_triage_key"),
            models.CheckConstraint(
                condition=Q(source_type__in=SourceType.values), name="mismatch_source_type"
            ),
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="mismatch_severity"),
            models.CheckConstraint(
                condition=Q(triage_status__in=TriageStatus.values), name="mismatch_triage_status"
            ),
            models.CheckConstraint(
                condition=Q(triage_status__in=["resolved", "dismissed"], resolved_at__isnull=False)
                | ~Q(triage_status__in=["resolved", "dismissed"]) & Q(resolved_at__isnull=True),
                name="mismatch_resolved_exactly_when_decided",
            ),
        ]
        indexes = [
            models.Index(
                "tenant_id",
                F("first_seen_at").desc(),
                F("id").desc(),
                name="mismatch_still_open",
                condition=OPEN,
            ),
            models.Index(
                "tenant_id",
                "severity_rank",
                "first_seen_at",
                "id",
                name="mismatch_open_urgent",
                condition=OPEN,
            ),
            models.Index(
                "tenant_id",
                "triage_owner",
                "severity_rank",
                "first_seen_at",
                "id",
                name="mismatch_open_of_owner",
                condition=OPEN,
            ),
            models.Index(
                "tenant_id",
                "mismatch_type",
                "severity_rank",
                "first_seen_at",
                "id",
                name="mismatch_open_of_type",
                condition=OPEN,
            ),
            models.Index(
                "tenant_id",
                "period",
                "severity_rank",
                "first_seen_at",
                "id",
                name="mismatch_open_of_period",
                condition=OPEN,
            ),
            models.Index(
                "tenant_id",
                "triage_status",
                "severity_rank",
                "first_seen_at",
                "id",
                name="mismatch_by_decision",
                condition=~Q(triage_status="open"),
            ),
            models.Index("tenant_id", "severity_rank", "first_seen_at", "id", name="mismatch_urgent"),
            models.Index("tenant_id", "subject_hash", name="mismatch_of_subject"),
            models.Index(
                "tenant_id",
                "source_type",
                "period",
                "provider_id",
                name="mismatch_uncleared",
                condition=Q(cleared_at__isnull=True),
            ),
            models.Index("tenant_id", F("first_seen_at").desc(), F("id").desc(), name="mismatch_by_age"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """Name the case in one line."""
        return f"{self.mismatch_type}:{self.mismatch_key}"

    @property
    def is_open(self) -> bool:
        """Tell whether the difference still waits for someone."""
        return self.cleared_at is None and (self.resolved_at is None or self.is_drifted)

    @property
    def is_drifted(self) -> bool:
        """Tell whether it differs now from what its decision saw."""
        return (
            self.resolved_at is not None
            and self.triage_mismatch_hash != ""
            and self.triage_mismatch_hash != self.mismatch_hash
        )

    @property
    def shown_severity(self) -> str:
        """Give the severity a person set, else the one it was found with."""
        return self.triage_severity or self.severity
