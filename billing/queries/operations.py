"""What is under way, waits or was given up, over all tenants; the caller enters a platform scope and audits.

Each list is a queryset that the caller pages by id; `counts` costs one statement for each table.
"""

from collections.abc import Iterable
from typing import Any, Final

from django.db.models import Count, Q, QuerySet

from billing.models import (
    BillableEntity,
    BillingOutboxJob,
    BillingRequest,
    CheckoutSession,
    ReconciliationRun,
    Remediation,
)
from billing.queries.activity_sources import CONSUMER
from billing.states import JobStatus, RemediationStatus, RequestStatus, Scope, SessionStatus
from settld.stripe_gateway.models import StripeEventConsumption
from settld.stripe_gateway.states import REVIVABLE, ConsumptionStatus
from settld.tenants.models import Tenant

RUNNING: Final = (SessionStatus.OPEN, SessionStatus.COMPLETED_PENDING_SUBSCRIPTION)
HOLD: Final = SessionStatus.RECOVERY_VERIFICATION_PENDING
# Written so that each part is served by the partial index over it: these rows are few among very many.
IN_INBOX: Final = (
    Q(status__in=[ConsumptionStatus.PENDING, ConsumptionStatus.FAILED])
    | Q(status=ConsumptionStatus.LEASED)
    | Q(status=ConsumptionStatus.DEAD)
)


def sessions(*, is_ended: bool) -> "QuerySet[CheckoutSession]":
    """List sessions that are open or paid without their subscription; or those that have ended."""
    if is_ended:
        return CheckoutSession.objects.exclude(status__in=[*RUNNING, HOLD])
    return CheckoutSession.objects.filter(status__in=RUNNING)


def holds() -> "QuerySet[CheckoutSession]":
    """List the places held for checkouts whose fate nobody knows."""
    return CheckoutSession.objects.filter(status=HOLD)


def requests(*, is_ended: bool) -> "QuerySet[BillingRequest]":
    """List requests without an end; or those that have one."""
    if is_ended:
        return BillingRequest.objects.exclude(status=RequestStatus.PENDING)
    return BillingRequest.objects.filter(status=RequestStatus.PENDING)


def events(*, is_ended: bool) -> "QuerySet[StripeEventConsumption]":
    """List what billing still has to make of provider events, and could not; or what it has done."""
    rows = StripeEventConsumption.objects.filter(consumer=CONSUMER).select_related("event")
    return rows.filter(Q(status=ConsumptionStatus.DONE) if is_ended else IN_INBOX)


def event(event_id: int) -> StripeEventConsumption | None:
    """Find what billing made of one event."""
    rows = StripeEventConsumption.objects.filter(consumer=CONSUMER, event_id=event_id)
    return rows.select_related("event").first()


def jobs(*, is_ended: bool) -> "QuerySet[BillingOutboxJob]":
    """List effects owed to the provider, given up ones with them; or those that are done."""
    statuses = [status for status in JobStatus if (status == JobStatus.SUCCEEDED) == is_ended]
    return BillingOutboxJob.objects.filter(status__in=statuses)


def remediations(*, is_ended: bool) -> "QuerySet[Remediation]":
    """List cancellations of duplicates, given up ones with them; or those that are done."""
    statuses = [status for status in RemediationStatus if (status == RemediationStatus.SUCCEEDED) == is_ended]
    return Remediation.objects.filter(status__in=statuses)


def runs(*, scope: str = "") -> "QuerySet[ReconciliationRun]":
    """List reconciliation runs, of one scope or of all."""
    return ReconciliationRun.objects.filter(scope=scope) if scope else ReconciliationRun.objects.all()


def last_runs() -> dict[str, ReconciliationRun]:
    """Give the newest run of each scope that ever ran."""
    newest = [runs().filter(scope=scope).order_by("-started_at", "-pk")[:1] for scope in Scope.values]
    return {run.scope: run for run in newest[0].union(*newest[1:], all=True)}  # one index look-up each


def counts() -> dict[str, dict[str, int]]:
    """Count each list: `waiting`, and of that `alarming`, which only a person brings on."""
    return {
        "sessions": _count(sessions(is_ended=False), alarming=Q(pk__in=[])),
        "holds": _count(holds(), alarming=Q(pk__in=[])),
        "requests": _count(requests(is_ended=False), alarming=Q(pk__in=[])),
        "webhooks": _count(events(is_ended=False), alarming=Q(status__in=REVIVABLE)),
        "jobs": _count(jobs(is_ended=False), alarming=Q(status=JobStatus.DEAD_LETTER)),
        "remediations": _count(
            remediations(is_ended=False), alarming=Q(status=RemediationStatus.DEAD_LETTER)
        ),
    }


def _count(rows: "QuerySet[Any]", *, alarming: Q) -> dict[str, int]:
    found: dict[str, int] = rows.order_by().aggregate(
        waiting=Count("pk"), alarming=Count("pk", filter=alarming)
    )
    return found


# --- Whose they are -------------------------------------------------------------------------------
def entities(ids: Iterable[int | None]) -> dict[int, tuple[BillableEntity, str]]:
    """Give entities by id, each with the name of its workspace, empty for one that is none; two queries."""
    found = BillableEntity.objects.in_bulk({entity_id for entity_id in ids if entity_id is not None})
    tenants = Tenant.objects.in_bulk(
        {entity.workspace_id for entity in found.values() if entity.workspace_id}
    )
    return {
        entity_id: (entity, str(tenants.get(entity.workspace_id, "")) if entity.workspace_id else "")
        for entity_id, entity in found.items()
    }


def requests_of(found: Iterable[CheckoutSession]) -> dict[int, BillingRequest]:
    """Give the requests that sessions began with, by request id; one query."""
    return BillingRequest.objects.in_bulk({row.idempotency_row_id for row in found if row.idempotency_row_id})
