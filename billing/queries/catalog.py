"""Reading what is sold."""

from collections.abc import Iterable

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from billing.models import BillableEntity, Plan, PlanPrice, Subscription
from billing.models.catalog import SELLABLE


def complete(plans: "QuerySet[Plan]", *, provider: str) -> list[Plan]:
    """Load plans with entitlements and prices, whatever their number in three queries; see `core_price`."""
    prices = PlanPrice.objects.filter(provider=provider).order_by("id")
    return list(plans.prefetch_related("entitlements", Prefetch("prices", prices)))


def on_sale(*, provider: str) -> Q:
    """Tell the plans that can be bought: active, with a sellable price."""
    sellable = PlanPrice.objects.filter(SELLABLE, plan=OuterRef("pk"), provider=provider)
    return Q(is_active=True) & Q(Exists(sellable))


def offered_to(entity: BillableEntity, *, provider: str) -> list[Plan]:
    """List the plans on sale and the entity's current one, active ones first, by id."""
    current = Subscription.objects.filter(
        tenant_id=entity.tenant_id, billable_entity=entity, is_current=True
    ).values("plan_id")
    plans = Plan.objects.filter(on_sale(provider=provider) | Q(pk__in=current))
    return complete(plans.order_by("-is_active", "id"), provider=provider)


def every(*, provider: str) -> list[Plan]:
    """List all plans, active ones first, by id."""
    return complete(Plan.objects.order_by("-is_active", "id"), provider=provider)


def core_price(plan: Plan) -> PlanPrice | None:
    """Give the price a plan is sold at; of one no longer sold, the last it was sold at."""
    return _latest(price for price in plan.prices.all() if price.billing_component == "base")


def _latest(prices: Iterable[PlanPrice]) -> PlanPrice | None:
    licensed = [price for price in prices if price.usage_type == "licensed"]
    return max(licensed, key=lambda price: (price.is_active, price.pk), default=None)
