"""Projecting a provider's subscription onto our rows (spec/checkout-billing.md 8.5, 8.6).

The only writer of subscriptions besides reconciliation, which uses it, too. What comes out is a function of
the facts, not of who told them: an event, a look at the provider, or a listing.
"""

import datetime as dt
from typing import Final

from billing.guardrail_codes import Guardrail
from billing.models import BillableEntity, BillingRequest, CheckoutSession, Invoice, Subscription
from billing.provider_time import ProviderTime
from billing.providers import base
from billing.providers.facts import Answer, SubscriptionFacts
from billing.services import (
    canonical,
    checkout_session,
    guardrails,
    idempotency,
    locks,
    ordering,
    refs,
    resolution,
    rows,
    subscription_items,
    subscription_payers,
    subscription_plans,
    transactions,
)
from billing.services.ordering import EventStamp, Fetched, ObjectNeeded, Verdict
from billing.states import (
    PROVIDER,
    TERMINAL_SUBSCRIPTION,
    Action,
    RefKind,
    SubscriptionStatus,
    Writer,
)
from settld.core import rows as core_rows
from settld.core import tenancy
from settld.stripe_gateway.profiles import Profile

DELETED: Final = "customer.subscription.deleted"
ENDED: Final = "ended"


def project(
    *,
    entity: BillableEntity,
    facts: SubscriptionFacts,
    event: EventStamp | None,
    snapshot_at: ProviderTime | None,
    writer: Writer = Writer.SUBSCRIPTION_PROJECTION,
    is_uncertain: bool = False,
    known: list[Subscription] | None = None,
    now: dt.datetime,
) -> Subscription:
    """Write a subscription, its items and all that follows from it, and give the row as it stands now.

    Inside the caller's transaction, whose lock on the entity is renewed here in the name of `writer`;
    subscriptions, the request and the sessions are locked in order. `known` are the subscriptions where the
    caller has locked them already, after the entity in this writer's name. `event` has been placed already
    (`ordering.settle`); facts of a look (`snapshot_at`) that is older than the row are dropped here. What
    follows: one current subscription, cancellations owed for the others, waiting invoices linked, the
    session that led here ended and its request finished, sessions that block for nothing displaced.

    Raises resolution.CorrelationMismatch or subscription_plans.PlanUnclear (both 409): give the transaction
    up, nothing may be kept.
    """
    if known is None:
        entity = locks.lock_entity(entity_id=entity.pk, writer=writer)
        known = locks.lock_subscriptions(entity)
    row = among(known, facts.id)
    if row is not None and event is None and ordering.is_outdated(row, snapshot_at):
        return row
    request = _lock_request(entity, facts)
    locks.lock_sessions(entity)
    payer = subscription_payers.of(entity=entity, facts=facts, row=row, request=request, event=event, now=now)
    plan, prices = subscription_plans.map_items(entity=entity, facts=facts, row=row, event=event)
    is_new = row is None
    if row is None:
        row = _new(entity, facts, event=event)
    row.plan, row.billing_customer = plan, payer
    _fill(row, facts, event=event, entity=entity)
    row.needs_reconciliation = is_uncertain
    ordering.stamp(row, event=event, snapshot_at=snapshot_at, is_uncertain=is_uncertain)
    _write(row)
    subscription_items.write(row, facts=facts, prices=prices, is_new=is_new)
    event_id = None if event is None else event.event_id
    all_of_them = [*known, row] if is_new else known
    canonical.apply(
        entity=entity,
        operation_key=facts.operation_key,
        provider_event_id=event_id,
        subscriptions=all_of_them,
        now=now,
    )
    subscription_payers.settle(entity=entity, subscriptions=all_of_them, now=now)
    if is_new:
        _link_waiting_invoices(row)
    _advance_session(entity, row, facts, request, now=now)
    del row.revision  # the database has counted our writes; whoever needs the number reads it
    return row


def project_from_provider(
    *,
    tenant_id: str,
    entity_id: int,
    provider_subscription_id: str,
    now: dt.datetime,
    writer: Writer = Writer.RECONCILIATION,
    profile: Profile = "worker",
) -> Subscription:
    """Ask the provider for a subscription and project what it answers, in a transaction of its own.

    For refresh, recovery and reconciliation; runs in no transaction. When the row is written by somebody
    else between the question and our lock, the question is put again. Raises ProviderProblem (nothing was
    written), what `project` raises, and ordering.Unsettled.
    """

    def look() -> tuple[Verdict, int | None]:
        with tenancy.tenant_scope(tenant_id):
            row = stored(tenant_id, provider_subscription_id)
        return Verdict.RESOLVE, None if row is None else row.revision

    def apply(fetched: Fetched[SubscriptionFacts] | None) -> Subscription:
        if fetched is None or fetched.answer is None:
            raise fetched.problem if fetched is not None and fetched.problem is not None else ObjectNeeded()
        answer = fetched.answer

        def work() -> Subscription:
            entity = locks.lock_entity(entity_id=entity_id, writer=writer)
            known = locks.lock_subscriptions(entity)
            row = among(known, provider_subscription_id)
            if (None if row is None else row.revision) != fetched.revision:
                raise ObjectNeeded()
            return project(
                entity=entity,
                facts=answer.facts,
                event=None,
                snapshot_at=answer.provider_time,
                writer=writer,
                known=known,
                now=now,
            )

        return transactions.retried(tenant_id=tenant_id, work=work)

    def fetch() -> Answer[SubscriptionFacts]:
        return base.active().retrieve_subscription(provider_subscription_id, profile=profile)

    return ordering.resolved(look=look, fetch=fetch, apply=apply)


def stored(tenant_id: str, provider_subscription_id: str) -> Subscription | None:
    """Read the row of a provider's subscription; the tenant's scope is entered, no lock is taken."""
    return core_rows.first(
        Subscription,
        "tenant_id = %s AND provider = %s AND provider_subscription_id = %s",
        [tenant_id, PROVIDER, provider_subscription_id],
    )


def among(known: list[Subscription], provider_subscription_id: str) -> Subscription | None:
    """Find a provider's subscription among those of an entity."""
    return next((row for row in known if row.provider_subscription_id == provider_subscription_id), None)


def _lock_request(entity: BillableEntity, facts: SubscriptionFacts) -> BillingRequest | None:
    """Lock the checkout request that led here: by its operation key, else by the session that knows it."""
    if facts.operation_key is not None:
        named = locks.lock_request_of(entity, facts.operation_key, actions=[Action.CHECKOUT])
        if named is not None:
            return named
    sessions = CheckoutSession.objects.filter(
        tenant_id=entity.tenant_id, billable_entity=entity, provider_subscription_id=facts.id
    )
    found = sessions.values_list("idempotency_row_id", flat=True).first()
    return None if found is None else locks.lock_request(entity, found)


def _new(entity: BillableEntity, facts: SubscriptionFacts, *, event: EventStamp | None) -> Subscription:
    try:
        refs.claim(kind=RefKind.SUBSCRIPTION, ref=facts.id, entity=entity)
    except refs.RefOwnedByAnother as taken:
        raise resolution.mismatch(
            "another entity's subscription",
            operation_key=facts.operation_key,
            provider_event_id=None if event is None else event.event_id,
            entity=entity,
        ) from taken
    return Subscription(
        tenant_id=entity.tenant_id,
        billable_entity=entity,
        provider=PROVIDER,
        provider_subscription_id=facts.id,
        provider_subscription_created_at=facts.created.at,
        is_current=False,
    )


def _fill(
    row: Subscription, facts: SubscriptionFacts, *, event: EventStamp | None, entity: BillableEntity
) -> None:
    """Take over what the provider says; when it was made is taken over once only (INV-23)."""
    row.status = _status(row, facts, event=event, entity=entity)
    row.current_period_end = _at(facts.current_period_end)
    row.trial_end = _at(facts.trial_end)
    row.cancel_at = _at(facts.cancel_at)
    row.canceled_at = _at(facts.canceled_at)
    row.cancel_at_period_end = facts.cancel_at_period_end
    row.ended_at = _at(facts.ended_at)
    if row.status == SubscriptionStatus.CANCELED and row.ended_at is None:
        deleted_at = event.created.at if event is not None and event.event_type == DELETED else None
        row.ended_at = row.canceled_at or deleted_at
    row.metadata_json = facts.metadata


def _status(
    row: Subscription, facts: SubscriptionFacts, *, event: EventStamp | None, entity: BillableEntity
) -> str:
    """Give the status in our words: the provider's own, but for those that we do not know."""
    if (event is not None and event.event_type == DELETED) or facts.status == ENDED:
        return SubscriptionStatus.CANCELED
    if facts.status in SubscriptionStatus.values:
        return facts.status
    guardrails.emit(
        Guardrail.PROVIDER_SDK_API_BASELINE_DRIFT,
        operation_key=facts.operation_key,
        provider_event_id=None if event is None else event.event_id,
        billable_entity_id=entity.pk,
        provider_subscription_id=facts.id,
        unknown_status=facts.status[:40],
    )
    return row.status or SubscriptionStatus.INCOMPLETE


WRITTEN: Final = (
    "plan",
    "billing_customer",
    "status",
    "current_period_end",
    "trial_end",
    "cancel_at",
    "canceled_at",
    "cancel_at_period_end",
    "ended_at",
    "needs_reconciliation",
    "metadata_json",
    "last_provider_event_created_at",
    "last_provider_event_id",
    "last_provider_snapshot_at",
)


def _write(row: Subscription) -> None:
    """Write the row and leave alone whether it is current, which is chosen afterwards among all of them.

    One that has ended is the exception: the database lets none be both (INV-22).
    """
    if row._state.adding:
        if not rows.insert_once(row, target=("tenant_id", "provider", "provider_subscription_id")):
            raise RuntimeError("a subscription of a locked entity appeared without its lock")
        return
    fields = list(WRITTEN)
    if row.status in TERMINAL_SUBSCRIPTION and row.is_current:
        row.is_current = False
        fields.append("is_current")
    row.save(update_fields=fields)


def _link_waiting_invoices(row: Subscription) -> None:
    """Link the invoices that came first; those that come after find the subscription themselves."""
    Invoice.objects.filter(
        tenant_id=row.tenant_id,
        billable_entity_id=row.billable_entity_id,
        provider=row.provider,
        provider_subscription_id=row.provider_subscription_id,
        subscription=None,
    ).update(subscription=row)


def _advance_session(
    entity: BillableEntity,
    row: Subscription,
    facts: SubscriptionFacts,
    request: BillingRequest | None,
    *,
    now: dt.datetime,
) -> None:
    session = checkout_session.advance_by_subscription(
        entity=entity,
        operation_key=facts.operation_key,
        provider_subscription_id=facts.id,
        subscription_status=row.status,
        request=request,
        now=now,
    )
    if session is not None and request is not None:
        idempotency.finalise_from_facts(entity=entity, request=request, session=session, now=now)


def _at(instant: ProviderTime | None) -> dt.datetime | None:
    return None if instant is None else instant.at
