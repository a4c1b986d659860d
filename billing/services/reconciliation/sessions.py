"""What the three scopes of checkout sessions share: reading a session, merging what the provider says."""

from typing import Final

from django.db.models import F

from billing import clock
from billing.models import BillableEntity, BillingRequest, CheckoutSession
from billing.providers.errors import ProviderProblem
from billing.providers.facts import Answer, SessionFacts
from billing.services import checkout_session, displacement, idempotency_ends, locks, session_rows
from billing.services.reconciliation.runs import Item, Run
from billing.states import Flow, SessionStatus
from settld.core import tenancy
from settld.core.transactions import atomic

PROVIDER_SAYS: Final = {
    "open": SessionStatus.OPEN,
    "complete": SessionStatus.COMPLETED_PENDING_SUBSCRIPTION,
    "expired": SessionStatus.EXPIRED,
}


def read(item: Item) -> CheckoutSession | None:
    """Read the session of an item as it is stored now; no lock."""
    with tenancy.tenant_scope(item.tenant_id), atomic():
        found: CheckoutSession | None = CheckoutSession.objects.filter(
            tenant_id=item.tenant_id, pk=item.id
        ).first()
        return found


def retrieve(run: Run, session: CheckoutSession) -> Answer[SessionFacts] | None:
    """Ask the provider for a session; None when it knows none of that id."""
    run.seen += 1
    try:
        return run.ask().retrieve_checkout_session(
            str(session.provider_checkout_session_id), profile="worker"
        )
    except ProviderProblem as problem:
        if problem.is_missing:
            return None
        raise


def merge(entity: BillableEntity, item: Item, answer: Answer[SessionFacts]) -> CheckoutSession | None:
    """Merge the provider's session into the stored one, and end its request; inside the repair's transaction.

    None when the session is finished by now: somebody was faster.
    """
    locks.lock_subscriptions(entity)
    session = CheckoutSession.objects.get(pk=item.id)
    request = _lock_request(entity, session)
    locks.lock_sessions(entity)
    session.refresh_from_db()
    if session.status in session_rows.TERMINAL:
        return None
    now = clock.now()
    merged = checkout_session.merge(
        entity=entity,
        operation_key=session.operation_key,
        flow=Flow(session.flow),
        facts=answer.facts,
        request=request,
        payment_link=session.payment_link,
        snapshot_at=answer.provider_time,
        is_reading=True,
        now=now,
    )
    if request is not None:
        idempotency_ends.finalise_from_facts(entity=entity, request=request, session=merged, now=now)
    return merged


def close(entity: BillableEntity, item: Item, *, status: SessionStatus, reason: str) -> None:
    """End a session that time or the provider has ended, and its request; in the repair's transaction."""
    locks.lock_subscriptions(entity)
    session = CheckoutSession.objects.get(pk=item.id)
    request = _lock_request(entity, session)
    locks.lock_sessions(entity)
    session.refresh_from_db()
    if session.status in session_rows.TERMINAL:
        return
    now = clock.now()
    session_rows.enter(session, status, now=now, reason=reason)
    session.save()
    if status == SessionStatus.ABANDONED:
        displacement.owe_expiry(entity, session, now=now)
    if request is not None and request.is_pending:
        idempotency_ends.finalise_from_facts(entity=entity, request=request, session=session, now=now)


def touch(run: Run, item: Item) -> None:
    """Note that a session was read again and is as stored; that is no change for an activity list."""

    def work(entity: BillableEntity) -> None:
        sessions = CheckoutSession.objects.filter(tenant_id=entity.tenant_id, pk=item.id)
        sessions.update(last_read_at=clock.now(), updated_at=F("updated_at"))

    run.write(item, work)


def _lock_request(entity: BillableEntity, session: CheckoutSession) -> BillingRequest | None:
    if session.idempotency_row_id is None:
        return None
    return locks.lock_request(entity, session.idempotency_row_id)
