"""What events tell about customers and their payment methods (spec/checkout-billing.md 7.5, 8.4).

Each method is ordered by its own watermarks, the default and the email by the customer's. Where an event
cannot be placed by the provider's clock, a look at the customer with all its methods decides.
"""

import datetime as dt
from typing import Final, NamedTuple

from billing.models import BillableEntity, Customer, PaymentMethod, PaymentMethodSync
from billing.models.fields import Watermarked
from billing.providers import shapes
from billing.providers.errors import ProviderProblem
from billing.providers.facts import CustomerFacts, EventFacts, PaymentMethodFacts
from billing.services import (
    locks,
    ordering,
    payment_method_rows,
    payment_method_sync,
    refs,
    rows,
    transactions,
)
from billing.services.ordering import EventStamp, Verdict
from billing.services.payment_method_sync import Look
from billing.states import PROVIDER, PaymentMethodStatus, RefKind, SyncStatus
from settld.core import failpoints
from settld.stripe_gateway.consumers import Consumed
from settld.stripe_gateway.models import StripeEvent
from settld.stripe_gateway.states import Outcome

ATTACHED: Final = "payment_method.attached"
UPDATED: Final = ("payment_method.updated", "payment_method.automatically_updated")
DETACHED: Final = "payment_method.detached"
CUSTOMER_UPDATED: Final = "customer.updated"
CUSTOMER_DELETED: Final = "customer.deleted"
EVENT_TYPES: Final = (ATTACHED, *UPDATED, DETACHED, CUSTOMER_UPDATED, CUSTOMER_DELETED)
RANKS: Final = {ATTACHED: 1, UPDATED[0]: 2, UPDATED[1]: 2, DETACHED: 3, CUSTOMER_UPDATED: 1}


class _LookNeeded(Exception):
    """The event cannot be placed by the clock; the provider has to be asked how things are now.

    `marks` say how our rows stand: an answer counts only if nobody has written them since.
    """

    def __init__(self, marks: object) -> None:
        super().__init__("a look at the provider is needed")
        self.marks = marks


class _Seen(NamedTuple):
    """An answer to that question, None where the provider could not be asked, and the marks from before."""

    look: Look | None
    marks: object


def apply_event(*, event: EventFacts, now: dt.datetime) -> Consumed:
    """Apply one event of EVENT_TYPES: `applied`, `stale`, or `ignored` for a customer that pays for nobody.

    Opens its own transactions, so it runs in none; safe to run again. Each applied event leaves one sync
    event that names it. Raises shapes.ShapeError for an object that is none, OperationalError when a lock
    does not come, ordering.Unsettled when others kept writing between our looks and our lock.
    """
    customer_id = _customer_of(event)
    owner = refs.find(kind=RefKind.CUSTOMER, ref=customer_id)
    if owner is None or customer_id is None:
        return Consumed(Outcome.IGNORED, "nobody pays as this customer")
    stamp = EventStamp(event.id, event.type, event.created)

    def attempt(seen: _Seen | None) -> Outcome:
        def work() -> Outcome:
            entity = locks.lock_entity(entity_id=owner.billable_entity_id)
            outcome = _apply(entity, customer_id, event, stamp, seen, now=now)
            failpoints.hit("billing.payment_method_event.before_commit")
            return outcome

        return transactions.retried(tenant_id=owner.tenant_id, work=work)

    seen = None
    for _ in range(1 + ordering.MOST_REPEATS):
        try:
            outcome = attempt(seen)
        except _LookNeeded as needed:
            seen = _look(customer_id, needed.marks)
        else:
            return Consumed(outcome, tenant_id=owner.tenant_id, billable_entity_id=owner.billable_entity_id)
    raise ordering.Unsettled()


def _customer_of(event: EventFacts) -> str | None:
    if event.type in (CUSTOMER_UPDATED, CUSTOMER_DELETED):
        return shapes.customer_facts(event.thing).id
    facts = shapes.payment_method_facts(event.thing)
    if event.type == DETACHED:
        return shapes.id_of(event.previous_attributes.get("customer")) or facts.customer_id
    return facts.customer_id


def _look(customer_id: str, marks: object) -> _Seen:
    try:
        return _Seen(payment_method_sync.look(customer_id, profile="request"), marks)
    except ProviderProblem:
        return _Seen(None, marks)


def _apply(
    entity: BillableEntity,
    customer_id: str,
    event: EventFacts,
    stamp: EventStamp,
    seen: _Seen | None,
    *,
    now: dt.datetime,
) -> Outcome:
    customer = payment_method_sync.lock_customer(entity, customer_id)
    if _is_recorded(entity, stamp):
        return Outcome.APPLIED
    if customer is None:
        return Outcome.IGNORED
    if event.type == CUSTOMER_DELETED:
        outcome = _delete_customer(customer, stamp)
    elif event.type == CUSTOMER_UPDATED:
        facts = shapes.customer_facts(event.thing)
        outcome = _update_customer(entity, customer, facts, stamp, seen, now=now)
    else:
        method = shapes.payment_method_facts(event.thing)
        outcome = _update_method(entity, customer, method, stamp, seen, now=now)
    if outcome == Outcome.APPLIED:
        _record(entity, customer, event, now=now)
    return outcome


def _delete_customer(customer: Customer, stamp: EventStamp) -> Outcome:
    """Nothing comes after a deletion, so it is never too late."""
    payment_method_sync.forget(customer, deleted_at=stamp.created)
    ordering.stamp(customer, event=stamp, snapshot_at=None)
    customer.save()
    return Outcome.APPLIED


def _update_customer(
    entity: BillableEntity,
    customer: Customer,
    facts: CustomerFacts,
    stamp: EventStamp,
    seen: _Seen | None,
    *,
    now: dt.datetime,
) -> Outcome:
    verdict = _verdict(customer, customer, stamp, seen)
    if verdict is Verdict.STALE:
        return Outcome.STALE
    if verdict is Verdict.RESOLVE:
        _write_look(entity, customer, seen, now=now)
    else:
        customer.email = facts.email
        default = {payment_method_rows.DEFAULT: facts.default_payment_method_id}
        customer.metadata_json = customer.metadata_json | default
    ordering.stamp(customer, event=stamp, snapshot_at=None)
    customer.save()
    payment_method_rows.flip_default(customer)
    return Outcome.APPLIED


def _update_method(
    entity: BillableEntity,
    customer: Customer,
    facts: PaymentMethodFacts,
    stamp: EventStamp,
    seen: _Seen | None,
    *,
    now: dt.datetime,
) -> Outcome:
    row = payment_method_rows.locked(customer).get(facts.id)
    verdict = Verdict.APPLY if row is None else _verdict(customer, row, stamp, seen)
    if verdict is Verdict.STALE:
        return Outcome.STALE
    if verdict is Verdict.RESOLVE:
        _write_look(entity, customer, seen, now=now)
        row = payment_method_rows.locked(customer)[facts.id]
    elif row is not None and row.status == PaymentMethodStatus.DETACHED:
        return Outcome.STALE  # only a complete look, newer than this, brings one back
    else:
        row = row or payment_method_rows.begin(customer, facts)
        if row is None:
            return Outcome.IGNORED
        _write_method(row, facts, stamp, now=now)
    ordering.stamp(row, event=stamp, snapshot_at=None)
    row.save()
    payment_method_rows.flip_default(customer)
    return Outcome.APPLIED


def _write_method(
    row: PaymentMethod, facts: PaymentMethodFacts, stamp: EventStamp, *, now: dt.datetime
) -> None:
    payment_method_rows.take_over(row, facts)
    if stamp.event_type == DETACHED:
        row.status, row.is_default = PaymentMethodStatus.DETACHED, False
    else:
        row.status = payment_method_rows.standing(row, now=now)


def _write_look(entity: BillableEntity, customer: Customer, seen: _Seen | None, *, now: dt.datetime) -> None:
    if seen is None or seen.look is None:
        raise AssertionError("a verdict to resolve comes with a look")
    payment_method_sync.write(entity=entity, seen=seen.look, now=now)
    customer.refresh_from_db()


def _verdict(customer: Customer, row: Watermarked, stamp: EventStamp, seen: _Seen | None) -> Verdict:
    """Place an event against what a row holds; where the provider could not be asked, by kind and then id."""
    verdict = ordering.decide(row, stamp)
    if verdict is not Verdict.RESOLVE:
        return verdict
    marks = _marks(customer)
    if seen is None or seen.marks != marks:
        raise _LookNeeded(marks)
    if seen.look is not None:
        return Verdict.RESOLVE
    ours = (RANKS[stamp.event_type], stamp.event_id.encode())
    theirs = (_rank_of(row), (row.last_provider_event_id or "").encode())
    return Verdict.APPLY if ours > theirs else Verdict.STALE


def _marks(customer: Customer) -> object:
    """Give what every write of a customer or of its methods changes."""
    names = (
        "id",
        "updated_at",
        "last_provider_event_id",
        "last_provider_snapshot_at",
        "status",
        "is_default",
    )
    methods = payment_method_rows.of_customer(customer).order_by("id").values_list(*names)
    known = (customer.updated_at, customer.last_provider_event_id, customer.last_provider_snapshot_at)
    return known, tuple(methods)


def _rank_of(row: Watermarked) -> int:
    stored = StripeEvent.objects.filter(provider_event_id=row.last_provider_event_id or "").first()
    return RANKS.get(stored.event_type, 0) if stored is not None else 0


def _is_recorded(entity: BillableEntity, stamp: EventStamp) -> bool:
    return bool(
        PaymentMethodSync.objects.filter(
            tenant_id=entity.tenant_id, provider=PROVIDER, provider_event_id=stamp.event_id
        ).exists()
    )


def _record(entity: BillableEntity, customer: Customer, event: EventFacts, *, now: dt.datetime) -> None:
    """Leave the one sync event that names this event."""
    told = {"object": event.thing.get("object"), "id": event.thing.get("id")}
    rows.insert_once(
        PaymentMethodSync(
            tenant_id=entity.tenant_id,
            billable_entity=entity,
            billing_customer=customer,
            provider=PROVIDER,
            event_type=event.type,
            provider_event_id=event.id,
            status=SyncStatus.SUCCEEDED,
            payload_json=told,
            processed_at=now,
        ),
        target=("tenant_id", "provider", "provider_event_id"),
        where="provider_event_id IS NOT NULL",
    )
