"""A person brings leased work back: one that waits, or one that was given up (section 7.2)."""

import datetime as dt
from typing import Any

from django.db.models import F

from billing.models import BillingOutboxJob, Remediation
from billing.services.leasing import DEAD_LETTER, WAITING, Queue, Row
from settld.audit import services as audit
from settld.core import tenancy
from settld.core.errors import Conflict, NotFound
from settld.core.principals import Actor
from settld.core.transactions import atomic


class WorkNotFound(NotFound):
    """No such row, in no tenant."""

    code = "BILLING_WORK_NOT_FOUND"
    message = "There is no such job."


class NothingToRetry(Conflict):
    """The row is done, or somebody is at work on it."""

    code = "BILLING_NOTHING_TO_RETRY"
    message = "The job is done or being worked on; there is nothing to retry."


def tenant_of(model: type[BillingOutboxJob] | type[Remediation], row_id: int) -> str:
    """Find whose a row is, for an operator who names its id only; WorkNotFound for none."""
    rows: Any = model._default_manager
    with tenancy.platform_scope(reason="billing: find a row of leased work"), atomic():
        tenant_id: str | None = rows.filter(pk=row_id).values_list("tenant_id", flat=True).first()
    if tenant_id is None:
        raise WorkNotFound()
    return tenant_id


def revive(queue: Queue[Row], row: Row, *, now: dt.datetime) -> bool:
    """Make a row that waits or was given up due at once, its attempts counted anew.

    Inside the caller's transaction, with the locks that the queue asks for. False when the row is being
    worked on or done: there is nothing to bring back.
    """
    waiting = queue.rows().filter(pk=row.pk, tenant_id=row.tenant_id, status__in=(*WAITING, DEAD_LETTER))
    changes: dict[str, Any] = {queue.due_column: now, queue.finished_column: None}
    return (
        waiting.update(status="pending", attempt_count=0, lease_version=F("lease_version") + 1, **changes)
        == 1
    )


def note_retry(
    row: BillingOutboxJob | Remediation, *, action: str, target_type: str, actor: Actor, reason: str = ""
) -> None:
    """Write the audit row of a retry that a person asked for, in the caller's transaction."""
    audit.append(
        tenant_id=row.tenant_id,
        actor=actor,
        action=action,
        target_type=target_type,
        target_id=str(row.pk),
        details={"statusBefore": row.status, "attemptCountBefore": row.attempt_count}
        | ({"reason": reason} if reason else {}),
    )
