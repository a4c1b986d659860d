"""What an entity has, read as of one instant: never a subscription without its items, or half a change."""

from dataclasses import dataclass
from typing import Final

from django.db.models import F

from billing.models import (
    BillableEntity,
    Customer,
    Invoice,
    Payment,
    Subscription,
    SubscriptionItem,
)
from settld.core import transactions

MOST_INVOICES: Final = 25
MOST_ITEMS: Final = 100


@dataclass(frozen=True)
class Snapshot:
    """The current subscription and what hangs on it; without one, the primary customer and empty lists."""

    entity: BillableEntity
    subscription: Subscription | None
    customer: Customer | None
    items: list[SubscriptionItem]
    invoices: list[Invoice]
    payments: list[Payment]


def of(*, entity: BillableEntity) -> Snapshot:
    """Read an entity's snapshot; its tenant's scope is entered, and no transaction is open."""
    with transactions.snapshot():
        return _read(BillableEntity.objects.get(tenant_id=entity.tenant_id, pk=entity.pk))


def _read(entity: BillableEntity) -> Snapshot:
    mine = {"tenant_id": entity.tenant_id, "billable_entity": entity}
    subscription = (
        Subscription.objects.filter(is_current=True, **mine)
        .select_related("billing_customer", "plan")
        .first()
    )
    if subscription is None:
        primary = Customer.objects.filter(is_primary=True, **mine).first()
        return Snapshot(entity, None, primary, [], [], [])
    of_it = {"tenant_id": entity.tenant_id, "subscription": subscription}
    newest = (F("issued_at").desc(nulls_last=True), "-id")
    invoices = list(Invoice.objects.filter(**of_it).order_by(*newest)[:MOST_INVOICES])
    return Snapshot(
        entity=entity,
        subscription=subscription,
        customer=subscription.billing_customer,
        items=list(SubscriptionItem.objects.filter(**of_it).order_by("-is_active", "id")[:MOST_ITEMS]),
        invoices=invoices,
        payments=list(
            Payment.objects.filter(tenant_id=entity.tenant_id, invoice__in=invoices).order_by("-id")
        ),
    )
