"""Which price a plan is sold at: one, monthly, in the deployment's currency, or none (INV-28, INV-30)."""

from django.conf import settings

from billing.models import Plan, PlanPrice
from billing.models.catalog import SELLABLE
from billing.states import PROVIDER, Interval


class PriceUnavailable(Exception):
    """The plan cannot be sold as the catalog stands; the text says why, for the alert."""


def plan_for_sale(code: str) -> Plan | None:
    """Find an active plan by its code; None when there is none."""
    return Plan.objects.filter(code=code, is_active=True).first()


def sellable_price(plan: Plan, *, provider: str = PROVIDER, currency: str | None = None) -> PlanPrice:
    """Give the one base price that a plan is sold at; raises PriceUnavailable rather than choose.

    `currency` is the deployment's unless told otherwise.
    """
    wanted = currency or settings.BILLING.currency
    prices = list(PlanPrice.objects.filter(SELLABLE, plan=plan, provider=provider).order_by("id")[:2])
    if len(prices) != 1:
        raise PriceUnavailable("no sellable price" if not prices else "more than one sellable price")
    price = prices[0]
    if price.currency != wanted:
        raise PriceUnavailable(f"the price is in {price.currency}, the deployment sells in {wanted}")
    if (price.interval, price.interval_count) != (Interval.MONTH, 1):
        raise PriceUnavailable("the price is not monthly")
    return price
