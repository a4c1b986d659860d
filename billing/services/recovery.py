"""Recovering requests whose outcome nobody wrote down: by a retry with the same key, or by itself (5.4).

A crash blocks an entity no longer than until its lease and the backoff are over. What is found out is
written at the lease version that was taken here; whoever is overtaken answers from the row.
"""

import datetime as dt
from collections import Counter
from typing import NamedTuple

import structlog
from django.db import connection

from billing import clock
from billing.guardrail_codes import Guardrail
from billing.models import BillingRequest
from billing.services import guardrails, idempotency, payment_links, portal, recovery_steps
from billing.services.idempotency import Answer, RequestInProgress
from billing.services.idempotency_lease import (
    FIRST_BACKOFF_SECONDS,
    MOST_BACKOFF_SECONDS,
    NotDue,
    take_over,
)
from billing.states import Action, RequestStatus
from settld.core import tenancy
from settld.core.transactions import require_no_transaction
from settld.stripe_gateway.profiles import Profile

log = structlog.get_logger(__name__)

# One request of each tenant before the second of any, and within that the longest waiting first: a tenant
# with many lost requests keeps nobody else from recovering.
_DUE = """
SELECT tenant_id, billable_entity_id, id, action, operation_key FROM (
  SELECT tenant_id, billable_entity_id, id, action, operation_key, pending_lease_expires_at,
         row_number() OVER (PARTITION BY tenant_id ORDER BY pending_lease_expires_at, id) AS turn
  FROM billing_request_idempotency
  WHERE status = 'pending' AND pending_lease_expires_at <= %(now)s
    AND (last_recovery_attempt_at IS NULL OR last_recovery_attempt_at + interval '1 second' *
         least(%(first)s * power(2, least(recovery_attempt_count, 11) - 1), %(most)s) <= %(now)s)
) AS due
ORDER BY turn, pending_lease_expires_at, id
LIMIT %(limit)s
"""


class Due(NamedTuple):
    """A request that waits for somebody to find out."""

    tenant_id: str
    billable_entity_id: int
    request_id: int
    action: str
    operation_key: str


def recover(
    *, tenant_id: str, request_id: int, is_same_key_retry: bool, profile: Profile = "request"
) -> Answer:
    """Find out about one pending request, of whatever action, and tell its end.

    Raises RequestInProgress while somebody else is at it or when the provider still does not tell, NotDue
    inside the backoff (never for a retry by the client), LookupError for no such request. Must not run
    inside a transaction.
    """
    require_no_transaction()
    with tenancy.tenant_scope(tenant_id):
        rows = BillingRequest.objects.filter(tenant_id=tenant_id, pk=request_id)
        found = rows.values_list("billable_entity_id", "action", "operation_key").first()
    if found is None:
        raise LookupError(f"no request {request_id}")
    due = Due(tenant_id, found[0], request_id, *found[1:])
    if due.action == Action.CHECKOUT:
        row = _recover_checkout(due, is_same_key_retry=is_same_key_retry, profile=profile)
        return idempotency.render(row, now=clock.now())
    return _recover_creation(due, is_same_key_retry=is_same_key_retry)


def _recover_creation(due: Due, *, is_same_key_retry: bool) -> Answer:
    """Recover in the manner of portal and payment links, which know neither a lookup nor a hold."""
    verb = portal.recover if due.action == Action.PORTAL else payment_links.recover
    return verb(
        tenant_id=due.tenant_id,
        entity_id=due.billable_entity_id,
        request_id=due.request_id,
        is_same_key_retry=is_same_key_retry,
    )


def _recover_checkout(due: Due, *, is_same_key_retry: bool, profile: Profile) -> BillingRequest:
    request = take_over(
        tenant_id=due.tenant_id,
        entity_id=due.billable_entity_id,
        request_id=due.request_id,
        is_same_key_retry=is_same_key_retry,
    )
    if not request.is_pending:
        return request
    with tenancy.tenant_scope(due.tenant_id):
        ended = recovery_steps.resolve(request, profile=profile)
    if ended.status in (RequestStatus.FAILED, RequestStatus.EXPIRED):
        guardrails.emit(
            Guardrail.RECOVERY_FAILURE,
            operation_key=ended.operation_key,
            billable_entity_id=ended.billable_entity_id,
            failure_code=ended.failure_code,
            action=ended.action,
        )
    return ended


def recover_pending(limit: int = 50) -> dict[str, int]:
    """Find out about requests of all tenants and actions whose lease ran out; gives how each ended.

    At most `limit`, by these names: succeeded, failed, expired, pending, in_progress, not_due, error. Safe
    beside itself and beside clients' retries: each request is leased first. One request's trouble does not
    keep the others.
    """
    ends: Counter[str] = Counter()
    for due in find_due(limit=limit):
        ends[_end_of(due)] += 1
    return dict(ends)


def find_due(*, limit: int) -> list[Due]:
    """List requests of every tenant that are due, the tenants in turn."""
    now = clock.now()
    values: dict[str, int | dt.datetime] = {
        "now": now, "first": FIRST_BACKOFF_SECONDS, "most": MOST_BACKOFF_SECONDS, "limit": limit
    }  # fmt: skip
    with tenancy.platform_scope(reason="billing recovery: find due requests"), connection.cursor() as cursor:
        cursor.execute(_DUE, values)
        return [Due(*row) for row in cursor.fetchall()]


def _end_of(due: Due) -> str:
    try:
        return _recover(due)
    except RequestInProgress:
        return "in_progress"
    except NotDue:
        return "not_due"
    except Exception:
        log.exception(
            "billing_recovery_failed",
            tenant_id=due.tenant_id,
            billable_entity_id=due.billable_entity_id,
            operation_key=due.operation_key,
        )
        return "error"


def _recover(due: Due) -> str:
    if due.action == Action.CHECKOUT:
        return str(_recover_checkout(due, is_same_key_retry=False, profile="worker").status)
    return "succeeded" if _recover_creation(due, is_same_key_retry=False).status == 200 else "failed"
