"""Taking over a pending request whose lease has run out (Tx R1 of 5.4); for every action."""

import datetime as dt
from typing import Final

from billing import clock
from billing.models import BillableEntity, BillingRequest
from billing.services import locks, transactions
from billing.services.idempotency import in_progress, is_leased, lease_ends, owner
from settld.core import failpoints

FIRST_BACKOFF_SECONDS: Final = 60
MOST_BACKOFF_SECONDS: Final = 900


class NotDue(Exception):
    """The request was looked at lately; nobody waits for it, so it can wait a while."""


def backoff(recovery_attempt_count: int) -> dt.timedelta:
    """Give how long to leave a request alone after this many attempts; a quarter of an hour at most."""
    if recovery_attempt_count < 1:
        return dt.timedelta(0)
    doublings = min(recovery_attempt_count - 1, 10)
    return dt.timedelta(seconds=min(FIRST_BACKOFF_SECONDS << doublings, MOST_BACKOFF_SECONDS))


def take_over(*, tenant_id: str, entity_id: int, request_id: int, is_same_key_retry: bool) -> BillingRequest:
    """Lease a pending request to us, or give it as it is when it has an end by now.

    A pending request that comes back is ours at its `lease_version`. Raises RequestInProgress while
    somebody else's lease runs, and NotDue inside the backoff, which a retry by the client ignores.
    """

    def work() -> BillingRequest:
        entity = locks.lock_entity(entity_id=entity_id)
        taken = _take_over(entity, request_id, is_same_key_retry=is_same_key_retry)
        failpoints.hit("billing.recovery.before_claim_commit")
        return taken

    taken = transactions.retried(tenant_id=tenant_id, work=work)
    failpoints.hit("billing.recovery.claimed")
    return taken


def _take_over(entity: BillableEntity, request_id: int, *, is_same_key_retry: bool) -> BillingRequest:
    request = locks.lock_request(entity, request_id)
    if request is None:
        raise LookupError(f"the entity has no request {request_id}")
    now = clock.now()
    if not request.is_pending:
        return request
    if is_leased(request, now=now):
        raise in_progress(request, now=now)
    if not is_same_key_retry and not is_due(request, now=now):
        raise NotDue()
    request.pending_lease_expires_at = lease_ends(now)
    request.pending_last_heartbeat_at = now
    request.lease_owner = owner()
    request.lease_version += 1
    request.recovery_attempt_count += 1
    request.last_recovery_attempt_at = now
    request.save(
        update_fields=[
            "pending_lease_expires_at",
            "pending_last_heartbeat_at",
            "lease_owner",
            "lease_version",
            "recovery_attempt_count",
            "last_recovery_attempt_at",
        ]
    )
    return request


def is_due(request: BillingRequest, *, now: dt.datetime) -> bool:
    """Tell whether the backoff since the last attempt is over."""
    last = request.last_recovery_attempt_at
    return last is None or last + backoff(request.recovery_attempt_count) <= now
