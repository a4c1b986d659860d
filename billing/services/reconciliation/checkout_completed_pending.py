"""Scope checkout_completed_pending: paid, and the subscription has not come within the time we promise."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings
from django.db.models import F, Q

from billing import clock
from billing.models import BillableEntity, CheckoutSession
from billing.providers.errors import ProviderProblem
from billing.providers.facts import Answer, SessionFacts, SubscriptionFacts
from billing.services import revisions, subscriptions
from billing.services.reconciliation import batches, sessions
from billing.services.reconciliation.runs import Item, Run
from billing.services.reconciliation.walk import Plain
from billing.services.revisions import Revisions
from billing.states import Scope, SessionStatus, Writer

GIVEN_UP_AFTER: Final = dt.timedelta(hours=24)
PENDING: Final = SessionStatus.COMPLETED_PENDING_SUBSCRIPTION


class CheckoutCompletedPending(Plain):
    """Subscription found -> projected; expired, or none for a day -> abandoned; no answer -> nothing."""

    scope = Scope.CHECKOUT_COMPLETED_PENDING

    def batch(self, *, after: int, limit: int, now: dt.datetime) -> Sequence[Item]:
        """List the sessions that were completed longer ago than the SLA."""
        since = now - dt.timedelta(seconds=settings.BILLING.completion_sla_seconds)
        is_late = Q(completed_at__lte=since) | Q(completed_at=None, created_at__lte=since)
        rows = CheckoutSession.objects.filter(is_late, status=PENDING)
        return batches.after(rows, after_id=after, limit=limit, scope=self.scope)

    def examine(self, run: Run, item: Item) -> None:
        """Look for the subscription that the session led to."""
        session = sessions.read(item)
        if session is None or session.status != PENDING:
            return
        told = None
        if session.provider_checkout_session_id is not None:
            told = sessions.retrieve(run, session)
            if told is None:
                run.note_missing(id=item.id, tenant_id=item.tenant_id, entity_id=item.entity_id)
                return
            if told.facts.status == "expired":
                run.drift += 1
                self._abandon(run, item, "expired_at_provider")
                return
        subscription_id = (told.facts.subscription_id if told else None) or session.provider_subscription_id
        if subscription_id is None:
            self._give_up_late(run, item, session)
            return
        before = revisions.of_subscriptions(tenant_id=item.tenant_id, entity_id=item.entity_id)
        found = _subscription(run, subscription_id)
        if found is None:
            run.note_missing(id=item.id, tenant_id=item.tenant_id, entity_id=item.entity_id)
            return
        run.drift += 1
        if not run.is_dry:
            run.repair(item, lambda entity: _project(entity, item, told, found, before))

    def apply_missing(self, run: Run, what: dict[str, Any]) -> None:
        """Give up a session whose subscription, or which itself, the provider has not known for a day."""
        item = Item(**what)
        session = sessions.read(item)
        if session is not None and session.status == PENDING:
            self._give_up_late(run, item, session)

    def _give_up_late(self, run: Run, item: Item, session: CheckoutSession) -> None:
        since = session.completed_at or session.created_at
        if since + GIVEN_UP_AFTER <= clock.now():
            run.drift += 1
            self._abandon(run, item, "no_subscription")

    def _abandon(self, run: Run, item: Item, reason: str) -> None:
        if not run.is_dry:
            run.repair(
                item,
                lambda entity: sessions.close(entity, item, status=SessionStatus.ABANDONED, reason=reason),
            )


def _subscription(run: Run, subscription_id: str) -> Answer[SubscriptionFacts] | None:
    run.seen += 1
    try:
        return run.ask().retrieve_subscription(subscription_id, profile="worker")
    except ProviderProblem as problem:
        if problem.is_missing:
            return None
        raise


def _project(
    entity: BillableEntity,
    item: Item,
    told: Answer[SessionFacts] | None,
    found: Answer[SubscriptionFacts],
    before: Revisions,
) -> None:
    """Let the session learn its subscription, then project that, which brings the session to its end."""
    revisions.require_subscription_unchanged(found.facts.id, before)
    if told is not None and sessions.merge(entity, item, told) is None:
        return
    subscriptions.project(
        entity=entity,
        facts=found.facts,
        event=None,
        snapshot_at=found.provider_time,
        writer=Writer.RECONCILIATION,
        now=clock.now(),
    )
    CheckoutSession.objects.filter(pk=item.id, status=PENDING).update(
        last_read_at=clock.now(), updated_at=F("updated_at")
    )
