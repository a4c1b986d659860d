"""The catalog as the console prints it: plans with what they cost and grant, and one-time prices."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db.models import Count, Q
from django.urls import reverse

from billing.models import CatalogItem, Plan, PlanPrice, Subscription
from billing.queries import catalog as queries
from ops_console import words
from ops_console.billing_console import entitlement_lines, paging
from ops_console.billing_console.queue_rows import Link
from ops_console.cursors import Pager
from settld.core import money, tenancy
from settld.core.transactions import atomic

MOST_SEARCH: Final = 120


@dataclass(frozen=True)
class PriceRow:
    """A price that a plan is or was sold at."""

    amount: str
    price_id: str
    product_id: str
    since: str
    is_sold: bool


@dataclass(frozen=True)
class PlanRow:
    """One plan."""

    id: int
    code: str
    name: str
    description: str
    version: str
    status: str
    tone: str
    why_not_sold: str
    price: PriceRow | None
    earlier: list[PriceRow]
    grants: list[str]
    subscribers: str
    acts: list[Link]


@dataclass(frozen=True)
class ItemRow:
    """One one-time price on offer."""

    name: str
    amount: str
    price_id: str
    status: str
    tone: str
    acts: list[Link]


@dataclass(frozen=True)
class Page:
    """Everything that the page prints."""

    q: str
    plans: list[PlanRow]
    plan_pager: Pager
    items: list[ItemRow]
    item_pager: Pager
    currency: str


def build(parameters: Mapping[str, str]) -> Page:
    """Read a page of plans and a page of items; the number of queries does not follow the rows."""
    path, provider = reverse("console:billing-plans"), settings.BILLING.provider
    q = parameters.get("q", "").replace("\x00", "").strip()[:MOST_SEARCH]
    kept = {"q": q} if q else {}
    found = Plan.objects.filter(Q(code__icontains=q) | Q(name__icontains=q)) if q else Plan.objects.all()
    plans = paging.slice_by_id(found, place=paging.read(parameters.get("at", "")), is_newest_first=False)
    offered = CatalogItem.objects.filter(provider=provider)
    if q:
        offered = offered.filter(Q(name__icontains=q) | Q(provider_price_id__icontains=q))
    items = paging.slice_by_id(offered, place=paging.read(parameters.get("items", "")), is_newest_first=False)
    whole = queries.complete(
        Plan.objects.filter(pk__in=[plan.pk for plan in plans.rows]).order_by("-is_active", "id"),
        provider=provider,
    )
    subscribers = _subscribers([plan.pk for plan in plans.rows])
    return Page(
        q=q,
        plans=[row_of(plan, subscribers.get(plan.pk, 0)) for plan in whole],
        plan_pager=plans.pager(
            path=path, parameters=kept, note=f"{words.count(len(whole), 'plan')} on this page"
        ),
        items=[_item(item) for item in items.rows],
        item_pager=items.pager(
            path=path,
            parameters=kept,
            note=f"{words.count(len(items.rows), 'item')} on this page",
            name="items",
        ),
        currency=settings.BILLING.currency,
    )


def _subscribers(plan_ids: list[int]) -> dict[int, int]:
    with tenancy.platform_scope(reason="console: subscribers by plan"), atomic():
        counted = Subscription.objects.filter(plan__in=plan_ids, is_current=True).values_list("plan_id")
        return dict(counted.annotate(Count("pk")).order_by())


def row_of(plan: Plan, subscribers: int) -> PlanRow:
    """Shape one plan whose prices and entitlements were loaded with it."""
    price = queries.core_price(plan)
    is_sold = price is not None and price.is_active
    why_not = "" if is_sold else "It has no price to be sold at."
    if price is not None and is_sold and price.currency != settings.BILLING.currency:
        why_not = f"Its price is in {price.currency}; this deployment sells in {settings.BILLING.currency}."
    status = "Sold" if plan.is_active and not why_not else "Not sellable" if plan.is_active else "Not sold"
    tone = "good" if status == "Sold" else "warn" if status == "Not sellable" else "quiet"
    return PlanRow(
        id=plan.pk,
        code=plan.code,
        name=plan.name,
        description=plan.description or "",
        version=f"version {plan.version} of {plan.plan_family_code}" if plan.version > 1 else "",
        status=status,
        tone=tone,
        why_not_sold=why_not,
        price=_price(price) if price else None,
        earlier=[_price(one) for one in plan.prices.all() if price is None or one.pk != price.pk],
        grants=[
            entitlement_lines.write(one.code, one.schema_version, one.value_json)
            for one in plan.entitlements.all()
        ],
        subscribers=f"{subscribers:,}",
        acts=[
            Link("Change price…", reverse("console:billing-plan-price", args=[plan.pk])),
            Link("Deactivate…", reverse("console:billing-plan-state", args=[plan.pk, "deactivate"]))
            if plan.is_active
            else Link("Activate…", reverse("console:billing-plan-state", args=[plan.pk, "activate"])),
        ],
    )


def _price(price: PlanPrice) -> PriceRow:
    every = price.interval if price.interval_count == 1 else f"{price.interval_count} {price.interval}s"
    return PriceRow(
        amount=f"{money.show(price.unit_amount_minor, price.currency)} a {every}",
        price_id=price.provider_price_id,
        product_id=price.provider_product_id or "",
        since=words.moment(price.created_at)[:10],
        is_sold=price.is_active,
    )


def _item(item: CatalogItem) -> ItemRow:
    return ItemRow(
        name=item.name,
        amount=money.show(item.unit_amount_minor, item.currency),
        price_id=item.provider_price_id,
        status="Offered" if item.is_active else "Not offered",
        tone="good" if item.is_active else "quiet",
        acts=[
            Link("Rename…", reverse("console:billing-item-rename", args=[item.pk])),
            Link("Withdraw…", reverse("console:billing-item-state", args=[item.pk, "deactivate"]))
            if item.is_active
            else Link("Offer again…", reverse("console:billing-item-state", args=[item.pk, "activate"])),
        ],
    )
