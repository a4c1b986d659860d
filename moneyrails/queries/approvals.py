"""Reading approvals; the caller's tenant scope and filter keep them to one tenant."""

import datetime as dt
import uuid

from django.db.models import Q, QuerySet

from moneyrails.models import Approval
from settld.core.errors import NotFound


class ApprovalNotFound(NotFound):
    """No such approval in this tenant."""

    message = "approval not found"


def listing(*, tenant_id: str, status: str = "", now: dt.datetime) -> QuerySet[Approval]:
    """List a tenant's approvals, newest first; one that ran out counts as expired before the loop says so."""
    rows = Approval.objects.filter(tenant_id=tenant_id)
    if status == "pending":
        rows = rows.filter(status="pending", expires_at__gt=now)
    elif status == "expired":
        rows = rows.filter(Q(status="expired") | Q(status="pending", expires_at__lte=now))
    elif status:
        rows = rows.filter(status=status)
    return rows.order_by("-requested_at", "-id")


def status_of(approval: Approval, *, now: dt.datetime) -> str:
    """Give the status that holds now, whether or not the loop has written it down."""
    if approval.status == "pending" and approval.expires_at <= now:
        return "expired"
    return str(approval.status)


def get(*, tenant_id: str, approval_id: str) -> Approval:
    """Give one approval; ApprovalNotFound otherwise."""
    return _one(Approval.objects.all(), tenant_id, approval_id)


def locked(*, tenant_id: str, approval_id: str) -> Approval:
    """Give one approval, locked until commit."""
    return _one(Approval.objects.select_for_update(), tenant_id, approval_id)


def _one(rows: QuerySet[Approval], tenant_id: str, approval_id: str) -> Approval:
    try:
        wanted = uuid.UUID(approval_id)
    except ValueError as error:
        raise ApprovalNotFound() from error
    found = rows.filter(tenant_id=tenant_id, pk=wanted).first()
    if found is None:
        raise ApprovalNotFound()
    return found


def same_question(approval: Approval) -> list[Approval]:
    """Give the pending approval that asks the same already, locked, as a list of at most one."""
    return list(
        Approval.objects.select_for_update().filter(
            tenant_id=approval.tenant_id,
            kind=approval.kind,
            subject=approval.subject,
            requested_by=approval.requested_by,
            body_hash=approval.body_hash,
            base_hash=approval.base_hash,
            status="pending",
        )
    )


def pending_locked(*, tenant_id: str, kinds: tuple[str, ...]) -> list[Approval]:
    """Give the pending approvals of some kinds, locked in one order; their number is bounded."""
    rows = Approval.objects.select_for_update().filter(tenant_id=tenant_id, status="pending", kind__in=kinds)
    return list(rows.order_by("pk"))


def pending_count(*, tenant_id: str) -> int:
    """Count what waits."""
    return Approval.objects.filter(tenant_id=tenant_id, status="pending").count()


def waiting_count(*, tenant_id: str, now: dt.datetime) -> int:
    """Count what waits and can still be approved."""
    return Approval.objects.filter(tenant_id=tenant_id, status="pending", expires_at__gt=now).count()


def run_out(*, now: dt.datetime, limit: int) -> list[tuple[str, uuid.UUID]]:
    """Name the pending approvals whose time is over, over all tenants (platform scope)."""
    rows = Approval.objects.filter(status="pending", expires_at__lte=now).order_by("expires_at")
    return list(rows.values_list("tenant_id", "pk")[:limit])
