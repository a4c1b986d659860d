"""Ending or annotating a request after the provider spoke, each in one short transaction in lock order.

Whoever comes here holds a lease version. If the row has moved on since, nothing is written and the row is
given as it is now, to answer from (section 4, fencing).
"""

import datetime as dt
from typing import Any

from billing import clock
from billing.models import BillingRequest
from billing.services import holds, idempotency, locks, transactions
from billing.states import FailureCode, RequestStatus
from settld.core import failpoints, tenancy


def terminate(
    request: BillingRequest,
    *,
    code: FailureCode,
    status: RequestStatus = RequestStatus.FAILED,
    details: dict[str, Any] | None = None,
    has_hold: bool = False,
    hold_until: dt.datetime | None = None,
) -> BillingRequest:
    """End a request in failure, with the hold that keeps its place where one is asked for.

    Hold and end are one transaction (T-062). The hold lasts until `hold_until`, or to the request's own
    horizon; one that would be over already is not placed. Gives the row as it is afterwards, ended by us or
    by whoever was quicker.
    """

    def work() -> BillingRequest:
        entity = locks.lock_entity(entity_id=request.billable_entity_id)
        locks.lock_subscriptions(entity)
        row = locks.lock_request(entity, request.pk)
        if row is None:
            raise LookupError(f"request {request.pk} is gone")
        if not row.is_pending:
            return row
        if row.lease_version != request.lease_version:
            idempotency.fenced(row)
            return row
        locks.lock_sessions(entity)
        now = clock.now()
        until = hold_until or holds.horizon(row, now=now)
        if has_hold and until > now:
            holds.place(entity=entity, request=row, until=until, now=now)
        idempotency.fail(
            row, expected_version=row.lease_version, code=code, details=details, status=status, now=now
        )
        failpoints.hit("billing.terminate.before_commit")
        return row

    ended = transactions.retried(tenant_id=request.tenant_id, work=work)
    failpoints.hit("billing.terminate.after_commit")
    return ended


def remember(
    request: BillingRequest,
    *,
    is_indeterminate: bool = False,
    is_saved_failure: bool = False,
    provider_session_id: str | None = None,
) -> BillingRequest:
    """Note on a pending request what its call went through; gives the row as it is afterwards."""

    def work() -> BillingRequest:
        entity = locks.lock_entity(entity_id=request.billable_entity_id)
        row = locks.lock_request(entity, request.pk)
        if row is None:
            raise LookupError(f"request {request.pk} is gone")
        if row.is_pending and row.lease_version != request.lease_version:
            idempotency.fenced(row)
            return row
        idempotency.note(
            row,
            expected_version=request.lease_version,
            is_indeterminate=is_indeterminate,
            is_saved_failure=is_saved_failure,
            provider_session_id=provider_session_id,
        )
        failpoints.hit("billing.remember.before_commit")
        return row

    if is_indeterminate or is_saved_failure or provider_session_id:
        return transactions.retried(tenant_id=request.tenant_id, work=work)
    return fresh(request)


def fresh(request: BillingRequest) -> BillingRequest:
    """Read a request again."""
    with tenancy.tenant_scope(request.tenant_id):
        found: BillingRequest = BillingRequest.objects.get(tenant_id=request.tenant_id, pk=request.pk)
    return found
