"""The provider's customers of an entity: adopted, promoted, never moved (spec 8.3; INV-34, INV-35)."""

import datetime as dt

from django.db.models import QuerySet

from billing.models import BillableEntity, Customer
from billing.services import refs, rows
from billing.states import PROVIDER, CustomerOrigin, Flow, RefKind
from settld.core import rows as core_rows

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
    customer, primary = _locked(entity, provider_customer_id)
    return _know(
        entity,
        customer,
        primary,
        provider_customer_id=provider_customer_id,
        email=email,
        origin=origin,
        make_primary=make_primary,
    )


def adopt(
    *, entity: BillableEntity, provider_customer_id: str, email: str | None, flow: Flow, now: dt.datetime
) -> Customer:
    """Know the customer that a session of a known operation names: primary if the entity has none.

    The payer of a payment link never is: anybody may pay one. Otherwise as `upsert`.
    """
    customer, primary = _locked(entity, provider_customer_id)
    has_primary = primary is not None and primary.provider_deleted_at is None
    return _know(
        entity,
        customer,
        primary,
        provider_customer_id=provider_customer_id,
        email=email,
        origin=ORIGIN_OF_FLOW[flow],
        make_primary=flow != Flow.PAYMENT_LINK and not has_primary,
    )


def primary_of(entity: BillableEntity) -> Customer | None:
    """Give the customer whom the entity pays as; one that the provider has deleted is none."""
    return _of(entity).filter(is_primary=True, provider_deleted_at=None).first()


def _locked(entity: BillableEntity, provider_customer_id: str) -> tuple[Customer | None, Customer | None]:
    """Lock and read the entity's customer of that id and its primary one, which may be the same row."""
    found = core_rows.every(
        Customer,
        "tenant_id = %s AND billable_entity_id = %s AND provider = %s"
        " AND (provider_customer_id = %s OR is_primary) ORDER BY id FOR NO KEY UPDATE",
        [entity.tenant_id, entity.pk, PROVIDER, provider_customer_id],
    )
    customer = next((row for row in found if row.provider_customer_id == provider_customer_id), None)
    return customer, next((row for row in found if row.is_primary), None)


def _know(
    entity: BillableEntity,
    customer: Customer | None,
    primary: Customer | None,
    *,
    provider_customer_id: str,
    email: str | None,
    origin: CustomerOrigin,
    make_primary: bool,
) -> Customer:
    """Insert a customer who is not known; fill in and promote one who is.

    A row of ours entered its id in the directory when it was made, so only a new one has to.
    """
    if customer is None:
        refs.claim(kind=RefKind.CUSTOMER, ref=provider_customer_id, entity=entity)
        customer = Customer(
            tenant_id=entity.tenant_id,
            billable_entity=entity,
            provider=PROVIDER,
            provider_customer_id=provider_customer_id,
            email=email,
            origin=_origin_of_primary(origin) if make_primary and primary is None else origin,
            is_primary=make_primary and primary is None,
        )
        if not rows.insert_once(customer, target=("tenant_id", "provider", "provider_customer_id")):
            customer = (
                _of(entity).select_for_update(no_key=True).get(provider_customer_id=provider_customer_id)
            )
    if customer.email is None and email is not None:
        customer.email = email
        customer.save(update_fields=["email"])
    if make_primary and not customer.is_primary and customer.provider_deleted_at is None:
        _promote(customer, primary)
    return customer


def _promote(customer: Customer, primary: Customer | None) -> None:
    """Two statements: one that flips both trips the partial index or not, by the order of the rows."""
    if primary is not None:
        primary.is_primary = False
        primary.save(update_fields=["is_primary"])
    customer.is_primary = True
    customer.origin = _origin_of_primary(customer.origin)
    customer.save(update_fields=["is_primary", "origin"])


def _origin_of_primary(origin: str) -> CustomerOrigin:
    """A payer of a payment link who becomes primary is one of a checkout from then on."""
    return CustomerOrigin.CHECKOUT if origin == CustomerOrigin.PAYMENT_LINK else CustomerOrigin(origin)


def _of(entity: BillableEntity) -> "QuerySet[Customer]":
    return Customer.objects.filter(tenant_id=entity.tenant_id, billable_entity=entity, provider=PROVIDER)
