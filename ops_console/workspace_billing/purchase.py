"""The purchase tab: plans on sale, items for payment links, and the links there are."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings

from billing.models import CatalogItem, PaymentLink
from billing.queries import catalog, payment_links
from billing.services import catalog_items, entitlements
from ops_console import words
from ops_console.acts import Option
from ops_console.workspace_billing import standing
from ops_console.workspace_billing.desk import Desk
from settld.core import money


@dataclass(frozen=True)
class LinkRow:
    """One payment link."""

    id: int
    url: str
    what: str
    amount: str
    is_active: bool
    made_at: str
    ended_at: str
    end_href: str
    is_new: bool


@dataclass(frozen=True)
class Purchase:
    """What the tab shows."""

    plans: list[Option]
    items: list[Option]
    links: list[LinkRow]
    has_more_links: bool


def build(desk: Desk, *, new_link: str = "") -> Purchase:
    """Read what can be bought and the newest links; `new_link` names the one that was made just now."""
    known = list(catalog_items.every(provider=settings.BILLING.provider))
    rows = payment_links.newest(desk.entity)
    by_price = {item.provider_price_id: item for item in known}
    return Purchase(
        plans=plans(desk),
        items=[
            Option(item.provider_price_id, f"{item.name}, {_price(item)}")
            for item in known
            if is_offered(item)
        ],
        links=[_link(desk, row, by_price, new_link) for row in rows],
        has_more_links=len(rows) == payment_links.MOST,
    )


def is_offered(item: CatalogItem) -> bool:
    """Tell whether an item can go on a link of this deployment."""
    return item.is_active and item.currency == settings.BILLING.currency


def offered_items() -> set[str]:
    """Name the prices of the items that can go on a link."""
    return {
        item.provider_price_id
        for item in catalog_items.every(provider=settings.BILLING.provider)
        if is_offered(item)
    }


def plans(desk: Desk) -> list[Option]:
    """List the plans on sale with their price; one whose grants cannot be read is not offered."""
    found = []
    for plan in catalog.offered_to(desk.entity, provider=settings.BILLING.provider):
        price = catalog.core_price(plan)
        if not plan.is_active or price is None or not price.is_active:
            continue  # the entity's own plan, no longer sold
        try:
            entitlements.of_plan(plan)
        except entitlements.EntitlementSchemaInvalid:
            continue
        found.append(Option(plan.code, f"{plan.name}, {standing.each(price.unit_amount_minor, price)}"))
    return found


def _price(item: CatalogItem) -> str:
    return money.show(item.unit_amount_minor, item.currency)


def _link(desk: Desk, row: PaymentLink, items: dict[str, CatalogItem], new_link: str) -> LinkRow:
    lines = [_line(line, items) for line in row.line_items_json]
    amounts = [amount for _, amount, _ in lines]
    currency = next((currency for _, _, currency in lines if currency), settings.BILLING.currency)
    known = sum(amount for amount in amounts if amount is not None)
    return LinkRow(
        id=row.pk,
        url=row.url,
        what=", ".join(what for what, _, _ in lines),
        amount="" if None in amounts else money.show(known, currency),
        is_active=row.active,
        made_at=words.moment(row.created_at),
        ended_at=words.moment(row.deactivated_at),
        end_href=desk.href("billing-link-end", link_id=row.pk),
        is_new=bool(new_link) and row.provider_payment_link_id == new_link,
    )


def _line(line: dict[str, Any], items: dict[str, CatalogItem]) -> tuple[str, int | None, str]:
    """Say what a line sells, for how much in all (None: only the provider knows), in which currency."""
    count = int(line.get("quantity") or 1)
    times = f"{count} x " if count != 1 else ""
    price_id = line.get("priceId")
    if price_id is None:
        return f"{times}{line['name']}", int(line["amountMinor"]) * count, str(line["currency"])
    item = items.get(str(price_id))
    if item is None:
        return f"{times}{price_id}", None, ""
    return f"{times}{item.name}", item.unit_amount_minor * count, item.currency
