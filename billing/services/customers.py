"""The provider's customers of an entity: adopted, promoted, never moved (spec 8.3; INV-34, INV-35)."""

import datetime as dt

from django.db.models import QuerySet

from billing.models import BillableEntity, Customer
from billing.services import refs, rows
from billing.states import PROVIDER, CustomerOrigin, Flow, RefKind

ORIGIN_OF_FLOW = {
    Flow.SUBSCRIPTION: CustomerOrigin.CHECKOUT,
    Flow.ONE_OFF: CustomerOrigin.ONE_OFF,
    Flow.PAYMENT_LINK: CustomerOrigin.PAYMENT_LINK,
}


def upsert(
    *,
    entity: BillableEntity,
    provider_customer_id: str,
    email: str | None,
    origin: CustomerOrigin,
    make_primary: bool,
    now: dt.datetime,
) -> Customer:
    """Know a customer of an entity; with `make_primary` the one before steps back.

    The email is filled, not replaced: only ordered facts about the customer replace it. A payer of a
    payment link who is made primary is one of a checkout from then on; a customer that the provider has
    deleted is never made primary. Inside the caller's transaction, the entity locked. Raises
    refs.RefOwnedByAnother when the customer belongs to another entity.
    """
    refs.claim(kind=RefKind.CUSTOMER, ref=provider_customer_id, entity=entity)
    made = Customer(
        tenant_id=entity.tenant_id,
        billable_entity=entity,
        provider=PROVIDER,
        provider_customer_id=provider_customer_id,
        email=email,
        origin=origin,
        is_primary=False,
    )
    if rows.insert_once(made, target=("tenant_id", "provider", "provider_customer_id")):
        customer = made
    else:
        customer = _of(entity).select_for_update(no_key=True).get(provider_customer_id=provider_customer_id)
        if customer.email is None and email is not None:
            customer.email = email
            customer.save(update_fields=["email"])
    if make_primary and not customer.is_primary and customer.provider_deleted_at is None:
        _promote(entity, customer)
    return customer


def adopt(
    *, entity: BillableEntity, provider_customer_id: str, email: str | None, flow: Flow, now: dt.datetime
) -> Customer:
    """Know the customer that a session of a known operation names: primary if the entity has none.

    The payer of a payment link never is: anybody may pay one. Otherwise as `upsert`.
    """
    return upsert(
        entity=entity,
        provider_customer_id=provider_customer_id,
        email=email,
        origin=ORIGIN_OF_FLOW[flow],
        make_primary=flow != Flow.PAYMENT_LINK and primary_of(entity) is None,
        now=now,
    )


def primary_of(entity: BillableEntity) -> Customer | None:
    """Give the customer whom the entity pays as; one that the provider has deleted is none."""
    return _of(entity).filter(is_primary=True, provider_deleted_at=None).first()


def _promote(entity: BillableEntity, customer: Customer) -> None:
    """Two statements: one that flips both trips the partial index or not, by the order of the rows."""
    _of(entity).filter(is_primary=True).update(is_primary=False)
    customer.is_primary = True
    if customer.origin == CustomerOrigin.PAYMENT_LINK:
        customer.origin = CustomerOrigin.CHECKOUT
    customer.save(update_fields=["is_primary", "origin"])


def _of(entity: BillableEntity) -> "QuerySet[Customer]":
    return Customer.objects.filter(tenant_id=entity.tenant_id, billable_entity=entity, provider=PROVIDER)
