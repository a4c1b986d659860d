"""Looking again, now, at the checkout that keeps an entity waiting (spec/checkout-billing.md 7.2).

A browser that comes back from the provider asks for this; the events that tell the same may come before,
after or never.
"""

import datetime as dt
from typing import Final, NamedTuple

import structlog

from billing.models import BillableEntity, CheckoutSession
from billing.providers import base as providers
from billing.providers.errors import ProviderProblem
from billing.providers.facts import Answer, SessionFacts
from billing.services import (
    checkout_session,
    idempotency,
    locks,
    session_rows,
    subscriptions,
    transactions,
)
from billing.states import Flow, Writer
from settld.core import failpoints
from settld.core.errors import Refusal

log = structlog.get_logger(__name__)
LEAST_PAUSE: Final = dt.timedelta(seconds=10)


class _Waiting(NamedTuple):
    """The session to read, and whose it is."""

    tenant_id: str
    entity_id: int
    session_id: int
    provider_checkout_session_id: str


def refresh(*, entity: BillableEntity, now: dt.datetime) -> None:
    """Read the entity's blocking session at the provider, merge it, and project its subscription.

    A session is read once per ten seconds at most; too soon, or with nothing to read, this does nothing. A
    provider that cannot answer, or answers what does not fit, changes nothing either: the snapshot that the
    caller reads afterwards is what is known. Opens its own transactions, so it runs in none; raises
    OperationalError when a lock does not come.
    """
    waiting = _claim(entity, now=now)
    if waiting is None:
        return
    failpoints.hit("billing.refresh.claimed")
    try:
        answer = providers.active().retrieve_checkout_session(waiting.provider_checkout_session_id)
        failpoints.hit("billing.refresh.dispatched")
        subscription_id = _merge(waiting, answer, now=now)
        if subscription_id is not None:
            subscriptions.project_from_provider(
                tenant_id=waiting.tenant_id,
                entity_id=waiting.entity_id,
                provider_subscription_id=subscription_id,
                writer=Writer.SUBSCRIPTION_PROJECTION,
                profile="request",
                now=now,
            )
    except (ProviderProblem, Refusal) as trouble:
        log.warning(
            "billing_refresh_without_result",
            billable_entity_id=waiting.entity_id,
            provider_checkout_session_id=waiting.provider_checkout_session_id,
            trouble=type(trouble).__name__,
        )


def _claim(entity: BillableEntity, *, now: dt.datetime) -> _Waiting | None:
    """Find the session to read and say that we read it, so that nobody else does within the pause."""

    def work() -> _Waiting | None:
        locked = locks.lock_entity(entity_id=entity.pk)
        blocking = session_rows.blocking(locked)
        session = blocking[0] if blocking else None
        if session is None or session.provider_checkout_session_id is None:
            return None
        if session.last_read_at is not None and now < session.last_read_at + LEAST_PAUSE:
            return None
        session.last_read_at = now
        session.save(update_fields=["last_read_at"])
        return _Waiting(locked.tenant_id, locked.pk, session.pk, session.provider_checkout_session_id)

    return transactions.retried(tenant_id=entity.tenant_id, work=work)


def _merge(waiting: _Waiting, answer: Answer[SessionFacts], *, now: dt.datetime) -> str | None:
    """Write the session down and finish its request; gives the subscription that it led to, if any yet."""

    def work() -> str | None:
        entity = locks.lock_entity(entity_id=waiting.entity_id)
        locks.lock_subscriptions(entity)
        known = CheckoutSession.objects.get(tenant_id=entity.tenant_id, pk=waiting.session_id)
        request = None
        if known.idempotency_row_id is not None:
            request = locks.lock_request(entity, known.idempotency_row_id)
        locks.lock_sessions(entity)
        session = checkout_session.merge(
            entity=entity,
            operation_key=known.operation_key,
            flow=Flow(known.flow),
            facts=answer.facts,
            request=request,
            snapshot_at=answer.provider_time,
            now=now,
        )
        if request is not None:
            idempotency.finalise_from_facts(entity=entity, request=request, session=session, now=now)
        failpoints.hit("billing.refresh.before_commit")
        subscription_id: str | None = session.provider_subscription_id
        return subscription_id

    return transactions.retried(tenant_id=waiting.tenant_id, work=work)
