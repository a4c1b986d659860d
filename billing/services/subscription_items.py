"""The items of a subscription; they inherit the decision about it (spec/checkout-billing.md 8.4, 8.5)."""

from typing import Final

from django.db.models import QuerySet

from billing.models import Subscription, SubscriptionItem
from billing.providers.facts import ItemFacts, SubscriptionFacts
from billing.services import rows
from billing.services.subscription_plans import Prices
from billing.states import BillingComponent, UsageType

WATERMARKS: Final = (
    "last_provider_event_created_at",
    "last_provider_event_id",
    "last_provider_snapshot_at",
)


def write(row: Subscription, *, facts: SubscriptionFacts, prices: Prices, is_new: bool = False) -> None:
    """Bring the items in line with the subscription: those that it has no more stay, inactive.

    One that `is_new` was inserted by this transaction, and has none yet.
    """
    known = {} if is_new else {item.provider_subscription_item_id: item for item in _locked(row)}
    for told in facts.items:
        item = known.pop(told.id, None) or SubscriptionItem(
            tenant_id=row.tenant_id,
            subscription=row,
            provider=row.provider,
            provider_subscription_item_id=told.id,
        )
        _fill(item, told, row=row, prices=prices)
        if not item._state.adding:
            item.save()
        elif not rows.insert_once(item, target=("tenant_id", "provider", "provider_subscription_item_id")):
            raise RuntimeError("an item of another subscription has this id")
    for gone in known.values():
        if gone.is_active:
            gone.is_active = False
            gone.save(update_fields=["is_active"])


def _locked(row: Subscription) -> "QuerySet[SubscriptionItem]":
    items = SubscriptionItem.objects.filter(tenant_id=row.tenant_id, subscription=row)
    return items.order_by("id").select_for_update(no_key=True, of=("self",))


def _fill(item: SubscriptionItem, told: ItemFacts, *, row: Subscription, prices: Prices) -> None:
    price = prices.get(told.price_id)
    item.provider_price_id = told.price_id
    item.billing_plan_price = price
    item.billing_component = price.billing_component if price is not None else BillingComponent.BASE
    item.usage_type = _usage(told) if price is None else price.usage_type
    item.quantity = told.quantity
    item.is_active = True
    item.metadata_json = told.metadata
    for name in WATERMARKS:
        setattr(item, name, getattr(row, name))


def _usage(told: ItemFacts) -> str:
    return told.usage_type if told.usage_type in UsageType.values else UsageType.LICENSED
