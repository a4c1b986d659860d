"""Which plan a subscription is of: that of its items' prices (spec/checkout-billing.md 8.5)."""

from collections.abc import Mapping

from billing.guardrail_codes import Guardrail
from billing.models import BillableEntity, Plan, PlanPrice, Subscription
from billing.providers.facts import SubscriptionFacts
from billing.services import guardrails
from billing.services.ordering import EventStamp
from billing.states import PROVIDER
from settld.core.errors import Conflict

Prices = Mapping[str, PlanPrice]


class PlanUnclear(Conflict):
    """The items lead to no plan, or to two; nothing was written."""

    code = "BILLING_SUBSCRIPTION_PLAN_UNCLEAR"
    message = "The subscription's prices do not lead to one plan."


def map_items(
    *,
    entity: BillableEntity,
    facts: SubscriptionFacts,
    row: Subscription | None,
    event: EventStamp | None,
) -> tuple[Plan, Prices]:
    """Give the plan of a subscription, and our prices by the provider's ids, retired ones included.

    So a change of plan in the portal maps to the new plan. A subscription whose prices are all unknown keeps
    the plan that it has, and is a PlanUnclear (409) when it has none or when its prices belong to two plans.
    """
    wanted = {item.price_id for item in facts.items}
    found = PlanPrice.objects.filter(provider=PROVIDER, provider_price_id__in=wanted).select_related("plan")
    prices = {price.provider_price_id: price for price in found}
    plans = {price.plan_id: price.plan for price in prices.values()}
    if len(plans) > 1:
        codes = sorted(plan.code for plan in plans.values())
        raise PlanUnclear(details={"providerSubscriptionId": facts.id, "planCodes": codes})
    if plans:
        return next(iter(plans.values())), prices
    kept = None if row is None else row.plan
    guardrails.emit(
        Guardrail.UNMAPPED_SUBSCRIPTION_PRICE,
        operation_key=facts.operation_key,
        provider_event_id=None if event is None else event.event_id,
        billable_entity_id=entity.pk,
        provider_subscription_id=facts.id,
        provider_price_ids=sorted(wanted),
        kept_plan=None if kept is None else kept.code,
    )
    if kept is None:
        raise PlanUnclear(details={"providerSubscriptionId": facts.id, "providerPriceIds": sorted(wanted)})
    return kept, prices
