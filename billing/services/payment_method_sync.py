"""Looking at all payment methods of a customer at once, and writing down what was seen (spec 7.5).

The look needs the provider and no transaction; the writing needs a transaction and no provider. A look that
broke off anywhere is none: nothing but a failed sync event comes of it.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet

from billing.models import BillableEntity, Customer, PaymentMethod, PaymentMethodSync
from billing.provider_time import ProviderTime
from billing.providers import base as providers
from billing.providers.facts import Answer, CustomerFacts, Listing, PaymentMethodFacts
from billing.services import ordering, payment_method_rows
from billing.states import PROVIDER, PaymentMethodStatus, SyncStatus
from settld.stripe_gateway.profiles import Profile

MANUAL: Final = "manual_sync"


@dataclass(frozen=True)
class Look:
    """A customer and all its methods as the provider has them; no listing for one that it has deleted."""

    customer: Answer[CustomerFacts]
    methods: Listing[PaymentMethodFacts] | None

    @property
    def fetched_count(self) -> int:
        """Count the methods that were listed."""
        return 0 if self.methods is None else len(self.methods.items)


def look(provider_customer_id: str, *, profile: Profile) -> Look:
    """Ask for a customer and for every page of its methods, of all types; ProviderProblem rather than a part.

    Two calls and one more for each hundred methods; no transaction may be open.
    """
    provider = providers.active()
    customer = provider.retrieve_customer(provider_customer_id, profile=profile)
    if customer.facts.is_deleted:
        return Look(customer, None)
    return Look(customer, provider.list_customer_payment_methods(provider_customer_id, profile=profile))


def lock_customer(entity: BillableEntity, provider_customer_id: str) -> Customer | None:
    """Lock and read a customer of the entity, if it is the one that the entity pays as."""
    return (
        _customers(entity)
        .filter(provider_customer_id=provider_customer_id, is_primary=True, provider_deleted_at=None)
        .select_for_update(no_key=True, of=("self",))
        .first()
    )


def write(*, entity: BillableEntity, seen: Look, now: dt.datetime) -> bool:
    """Bring a customer and its methods up to a look; False when it is not the primary customer any more.

    Inside the caller's transaction, the entity locked. Listed methods are attached, those that are not
    listed are detached, and what an event told after the look was begun is left alone.
    """
    customer = lock_customer(entity, seen.customer.facts.id)
    if customer is None:
        return False
    if seen.methods is None:
        forget(customer, deleted_at=seen.customer.provider_time)
        ordering.stamp(customer, event=None, snapshot_at=seen.customer.provider_time)
        customer.save()
        return True
    _write_customer(customer, seen.customer)
    _write_methods(customer, seen.methods, now=now)
    payment_method_rows.flip_default(customer)
    return True


def forget(customer: Customer, *, deleted_at: ProviderTime) -> None:
    """Take note that the provider has deleted a customer: nobody pays as it any more. The caller saves."""
    customer.provider_deleted_at = deleted_at.at
    customer.is_primary = False
    payment_method_rows.detach_all(customer)


def record(
    *,
    entity: BillableEntity,
    status: SyncStatus,
    event_type: str = MANUAL,
    provider_customer_id: str | None = None,
    fetched_count: int | None = None,
    error: str | None = None,
    now: dt.datetime,
) -> None:
    """Keep a line about a look; part of the caller's transaction."""
    customer = None
    if provider_customer_id is not None:
        customer = _customers(entity).filter(provider_customer_id=provider_customer_id).first()
    PaymentMethodSync.objects.create(
        tenant_id=entity.tenant_id,
        billable_entity=entity,
        billing_customer=customer,
        provider=PROVIDER,
        event_type=event_type,
        status=status,
        error_text=error,
        payload_json=None if fetched_count is None else {"fetchedCount": fetched_count},
        processed_at=now,
    )


def _write_customer(customer: Customer, answer: Answer[CustomerFacts]) -> None:
    """Email and default, unless an event has told of them since."""
    if ordering.is_outdated(customer, answer.provider_time):
        return
    customer.email = answer.facts.email
    default = {payment_method_rows.DEFAULT: answer.facts.default_payment_method_id}
    customer.metadata_json = customer.metadata_json | default
    ordering.stamp(customer, event=None, snapshot_at=answer.provider_time)
    customer.save()


def _write_methods(customer: Customer, listing: Listing[PaymentMethodFacts], *, now: dt.datetime) -> None:
    known = payment_method_rows.locked(customer)
    # Before the statuses: the one default that may be active is chosen when all are known.
    payment_method_rows.of_customer(customer).filter(is_default=True).update(is_default=False)
    for row in known.values():
        row.is_default = False
    listed = set()
    for answer in listing.items:
        listed.add(answer.facts.id)
        found = known.get(answer.facts.id) or payment_method_rows.begin(customer, answer.facts)
        if found is not None and not ordering.is_outdated(found, listing.provider_time):
            payment_method_rows.take_over(found, answer.facts)
            _stand(found, payment_method_rows.standing(found, now=now), listing.provider_time, now=now)
    for method_id, row in known.items():
        if method_id not in listed and not ordering.is_outdated(row, listing.provider_time):
            _stand(row, PaymentMethodStatus.DETACHED, listing.provider_time, now=now)


def _stand(
    row: PaymentMethod, status: PaymentMethodStatus, seen_at: ProviderTime, *, now: dt.datetime
) -> None:
    row.status = status
    row.last_provider_synced_at = now
    ordering.stamp(row, event=None, snapshot_at=seen_at)
    row.save()


def _customers(entity: BillableEntity) -> "QuerySet[Customer]":
    return Customer.objects.filter(tenant_id=entity.tenant_id, billable_entity=entity, provider=PROVIDER)
