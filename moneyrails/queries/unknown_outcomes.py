"""Attempts whose outcome is not known: how many, which, and what was found out about each."""

import datetime as dt
import uuid
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from moneyrails.models import DispatchAttempt, DispatchCheck
from moneyrails.states import OPEN_ATTEMPT, AttemptStatus
from settld.core.errors import NotFound

MOST_CHECKS = 100


class AttemptNotFound(NotFound):
    """This tenant has no such dispatch attempt."""

    message = "dispatch attempt not found"


@dataclass(frozen=True)
class Counts:
    """How many wait: for the provider, and for a person."""

    in_doubt: int
    indeterminate: int

    @property
    def total(self) -> int:
        """Add them up."""
        return self.in_doubt + self.indeterminate


def listing(*, tenant_id: str, now: dt.datetime, status: str | None = None) -> QuerySet[DispatchAttempt]:
    """List a tenant's unknown outcomes with their operations, the oldest first.

    An attempt whose sender vanished counts as in doubt as soon as its lease has run out; one that is
    being sent right now does not, and neither does one whose doubt somebody is looking into.
    """
    rows = DispatchAttempt.objects.filter(tenant_id=tenant_id, status__in=sorted(OPEN_ATTEMPT))
    vanished = Q(status=AttemptStatus.DISPATCHING, lease_expires_at__lte=now)
    doubt = Q(status=AttemptStatus.IN_DOUBT) | vanished
    if status == AttemptStatus.IN_DOUBT:
        rows = rows.filter(doubt)
    elif status == AttemptStatus.INDETERMINATE:
        rows = rows.filter(status=AttemptStatus.INDETERMINATE)
    else:
        rows = rows.filter(doubt | Q(status=AttemptStatus.INDETERMINATE))
    return rows.select_related("operation").order_by("created_at", "id")


def count(*, tenant_id: str, now: dt.datetime) -> Counts:
    """Count a tenant's unknown outcomes, from the index of open attempts alone."""
    waiting = listing(tenant_id=tenant_id, now=now).select_related(None).order_by()
    counted = waiting.aggregate(
        total=Count("pk"), indeterminate=Count("pk", filter=Q(status=AttemptStatus.INDETERMINATE))
    )
    return Counts(counted["total"] - counted["indeterminate"], counted["indeterminate"])


def get(*, tenant_id: str, attempt_id: uuid.UUID) -> DispatchAttempt:
    """Give one attempt with its operation, known by now or not; AttemptNotFound when there is none."""
    rows = DispatchAttempt.objects.select_related("operation")
    found = rows.filter(tenant_id=tenant_id, pk=attempt_id).first()
    if found is None:
        raise AttemptNotFound()
    return found


def open_attempt_id(*, tenant_id: str, operation_pk: uuid.UUID) -> uuid.UUID | None:
    """Name the attempt of an operation whose outcome is not known; there is at most one."""
    rows = DispatchAttempt.objects.filter(
        tenant_id=tenant_id, operation_id=operation_pk, status__in=sorted(OPEN_ATTEMPT)
    )
    return rows.values_list("pk", flat=True).first()


def checks(attempt: DispatchAttempt) -> list[DispatchCheck]:
    """Give the looks at an attempt, the newest first; at most MOST_CHECKS."""
    rows = DispatchCheck.objects.filter(tenant_id=attempt.tenant_id, attempt=attempt)
    return list(rows.order_by("-checked_at", "-id")[:MOST_CHECKS])
