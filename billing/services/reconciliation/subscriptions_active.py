"""Scope subscriptions_active: every subscription that lives, and what else its customer has."""

import datetime as dt
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db.models import Q

from billing import clock
from billing.models import BillableEntity, Subscription, SubscriptionItem
from billing.provider_time import ProviderTime
from billing.providers.errors import ProviderProblem
from billing.providers.facts import Answer, SubscriptionFacts
from billing.services import canonical, locks, revisions, subscriptions
from billing.services.reconciliation import batches, comparison
from billing.services.reconciliation.runs import Item, Run
from billing.services.reconciliation.walk import Plain
from billing.services.revisions import Revisions
from billing.states import TERMINAL_SUBSCRIPTION, Scope, SubscriptionStatus, Writer
from settld.core import tenancy
from settld.core.transactions import atomic


class SubscriptionsActive(Plain):
    """Drift -> projected; ended or gone at the provider -> canceled; another live one -> known."""

    scope = Scope.SUBSCRIPTIONS_ACTIVE

    def batch(self, *, after: int, limit: int, now: dt.datetime) -> Sequence[Item]:
        """List the subscriptions that have not ended, and those that ordering could not decide about."""
        rows = Subscription.objects.filter(
            ~Q(status__in=TERMINAL_SUBSCRIPTION) | Q(needs_reconciliation=True)
        )
        return batches.after(rows, after_id=after, limit=limit, scope=self.scope)

    def examine(self, run: Run, item: Item) -> None:
        """Compare the subscription, and whatever else lives under its customer, with what is stored."""
        with tenancy.tenant_scope(item.tenant_id), atomic():
            row = Subscription.objects.select_related("billing_customer").filter(pk=item.id).first()
        if row is None:
            return
        before = revisions.of_subscriptions(tenant_id=item.tenant_id, entity_id=item.entity_id)
        told = _of_customer(run, row)
        if row.provider_subscription_id not in told:
            run.seen += 1
            try:
                told[row.provider_subscription_id] = run.ask().retrieve_subscription(
                    row.provider_subscription_id, profile="worker"
                )
            except ProviderProblem as problem:
                if not problem.is_missing:
                    raise
                self._note_gone(run, item, problem)
        for answer in told.values():
            if self._differs(item, row, answer):
                run.drift += 1
                if not run.is_dry:
                    run.repair(item, partial(_project, answer=answer, before=before))

    def apply_missing(self, run: Run, what: dict[str, Any]) -> None:
        """End a subscription that the provider does not know, and choose anew among the others."""
        seconds = what["provider_seconds"]
        item = Item(id=what["id"], tenant_id=what["tenant_id"], entity_id=what["entity_id"])
        run.drift += 1
        run.repair(item, lambda entity: _end_missing(entity, item, ProviderTime(seconds)))

    def _note_gone(self, run: Run, item: Item, problem: ProviderProblem) -> None:
        if problem.provider_time is None:
            raise problem  # without the provider's clock there is nothing to stamp the end with
        run.note_missing(
            id=item.id,
            tenant_id=item.tenant_id,
            entity_id=item.entity_id,
            provider_seconds=problem.provider_time.seconds,
        )

    def _differs(self, item: Item, row: Subscription, answer: Answer[SubscriptionFacts]) -> bool:
        """Tell whether an answer is news: of this row, or of a live one that we do not know."""
        facts = answer.facts
        with tenancy.tenant_scope(item.tenant_id), atomic():
            if facts.id != row.provider_subscription_id:
                is_over = comparison.OURS.get(facts.status, facts.status) in TERMINAL_SUBSCRIPTION
                known = Subscription.objects.filter(provider_subscription_id=facts.id)
                return not is_over and not known.exists()
            items = list(SubscriptionItem.objects.filter(subscription=row))
            is_chosen = (
                row.status in TERMINAL_SUBSCRIPTION
                or Subscription.objects.filter(billable_entity_id=item.entity_id, is_current=True).exists()
            )
        return (
            row.needs_reconciliation
            or not is_chosen
            or bool(comparison.subscription_differs(row, items, facts))
        )


def _of_customer(run: Run, row: Subscription) -> dict[str, Answer[SubscriptionFacts]]:
    """List what the customer has at the provider; a customer that is gone has nothing there."""
    run.seen += 1
    try:
        listing = run.ask().list_subscriptions(
            customer=row.billing_customer.provider_customer_id, profile="worker"
        )
    except ProviderProblem as problem:
        if problem.is_missing:
            return {}
        raise
    run.count_pages(len(listing.items))
    return {answer.facts.id: answer for answer in listing.items}


def _project(entity: BillableEntity, *, answer: Answer[SubscriptionFacts], before: Revisions) -> None:
    revisions.require_subscription_unchanged(answer.facts.id, before)
    subscriptions.project(
        entity=entity,
        facts=answer.facts,
        event=None,
        snapshot_at=answer.provider_time,
        writer=Writer.RECONCILIATION,
        now=clock.now(),
    )


def _end_missing(entity: BillableEntity, item: Item, seen_at: ProviderTime) -> None:
    """Write down that a subscription is no more; a newer fact about it that came meanwhile stands."""
    row = next((row for row in locks.lock_subscriptions(entity) if row.pk == item.id), None)
    if row is None or row.status in TERMINAL_SUBSCRIPTION:
        return
    heard = [at for at in (row.last_provider_event_created_at, row.last_provider_snapshot_at) if at]
    if heard and max(heard) > seen_at.at:
        return
    row.status = SubscriptionStatus.CANCELED
    row.is_current = False
    row.ended_at = row.ended_at or seen_at.at
    row.canceled_at = row.canceled_at or seen_at.at
    row.needs_reconciliation = False
    row.last_provider_snapshot_at = seen_at.at
    row.save()
    canonical.apply(entity=entity, now=clock.now())
