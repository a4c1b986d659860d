"""One-time prices that are offered for purchase (spec 2, 7.4)."""

from django.db.models import QuerySet

from billing.models import CatalogItem
from billing.services import console_audit, rows
from billing.services.provider_prices import Price
from settld.core.errors import Conflict, NotFound
from settld.core.principals import Actor


class ItemExists(Conflict):
    """The price is offered already."""

    code = "BILLING_CATALOG_ITEM_EXISTS"
    message = "Provider price id is already in the catalog."


class ItemUnknown(NotFound):
    """There is no such item."""

    code = "BILLING_CATALOG_ITEM_NOT_FOUND"
    message = "Catalog item not found."


def every(*, provider: str) -> "QuerySet[CatalogItem]":
    """List all items, active ones first."""
    return CatalogItem.objects.filter(provider=provider).order_by("-is_active", "id")


def offer(*, price: Price, name: str, actor: Actor) -> CatalogItem:
    """Offer a one-time price from now on; ItemExists when it is offered already."""
    with console_audit.act():
        item = CatalogItem(
            provider=price.provider,
            provider_price_id=price.provider_price_id,
            name=name,
            currency=price.currency,
            unit_amount_minor=price.unit_amount_minor,
        )
        if not rows.insert_once(item, target=("provider", "provider_price_id")):
            raise ItemExists()
        _note("BILLING_CATALOG_ITEM_CREATE", item, actor)
    return item


def change(*, item_id: int, name: str, is_active: bool | None, actor: Actor) -> CatalogItem:
    """Rename an item, or offer it no longer or again; empty and None leave a thing as it is."""
    with console_audit.act():
        item = CatalogItem.objects.select_for_update().filter(pk=item_id).first()
        if item is None:
            raise ItemUnknown()
        item.name = name or item.name
        item.is_active = item.is_active if is_active is None else is_active
        item.save(update_fields=["name", "is_active"])
        _note("BILLING_CATALOG_ITEM_UPDATE", item, actor)
    return item


def _note(action: str, item: CatalogItem, actor: Actor) -> None:
    console_audit.append(
        actor=actor,
        action=action,
        target_type="billing_catalog_item",
        target_id=str(item.pk),
        details={
            "providerPriceId": item.provider_price_id,
            "name": item.name,
            "isActive": item.is_active,
        },
    )
