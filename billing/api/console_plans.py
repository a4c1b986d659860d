"""GET, POST /api/console/billing/plans; PATCH .../plans/{planId}; GET .../provider-prices (spec 7.7)"""

import re
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpResponse

from billing.api import serializers
from billing.api.base import READ, WRITE, BillingRequest
from billing.api.console_base import CATALOG, ConsoleView
from billing.api.describing import describe
from billing.api.query import Query
from billing.api.schema import ABSENT, Reader
from billing.models import Plan
from billing.providers.facts import PriceFacts
from billing.queries import catalog as queries
from billing.services import catalog, provider_prices
from billing.services.catalog import EntitlementWish, PlanWish
from settld.api import openapi
from settld.api.openapi import ANY, BOOL, INT, OBJECT, TEXT, many, maybe, obj, one_of
from settld.api.responses import Json
from settld.core.money import MAX_MINOR

PRICE_FIELD = "corePrice.providerPriceId"
CODE = re.compile(r"[a-z0-9][a-z0-9._:-]*")
_CORE_PRICE = obj(
    {
        "providerPriceId": TEXT,
        "providerProductId": maybe(TEXT),
        "currency": maybe(TEXT),
        "unitAmountMinor": maybe(serializers.ID),
        "interval": maybe(one_of("day", "week", "month", "year")),
        "intervalCount": maybe(INT),
    },
    optional=("providerProductId", "currency", "unitAmountMinor", "interval", "intervalCount"),
)
_ENTITLEMENT = obj({"code": TEXT, "schemaVersion": TEXT, "valueJson": ANY})
_CREATE = obj(
    {
        "code": TEXT,
        "name": TEXT,
        "description": maybe(TEXT),
        "isActive": maybe(BOOL),
        "metadataJson": maybe(OBJECT),
        "corePrice": _CORE_PRICE,
        "entitlements": maybe(many(_ENTITLEMENT)),
    },
    optional=("description", "isActive", "metadataJson", "entitlements"),
)
_ONE = obj({"provider": TEXT, "plan": serializers.PLAN})
_PRICE = obj(
    {
        "id": TEXT,
        "provider": TEXT,
        "productId": maybe(TEXT),
        "productName": maybe(TEXT),
        "nickname": maybe(TEXT),
        "currency": maybe(TEXT),
        "unitAmountMinor": maybe(serializers.ID),
        "interval": maybe(TEXT),
        "intervalCount": maybe(INT),
        "usageType": maybe(TEXT),
        "active": BOOL,
    }
)


class Plans(ConsoleView):
    """GET, POST /api/console/billing/plans"""

    permission = CATALOG
    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"GET": READ, "POST": WRITE}

    @describe(
        "List all plans, sold or not",
        answers={200: obj({"provider": TEXT, "plans": many(serializers.PLAN)})},
        of_entity=False,
    )
    def get(self, request: BillingRequest) -> HttpResponse:
        plans = queries.every(provider=settings.BILLING.provider)
        return Json({"provider": settings.BILLING.provider, "plans": [_plan(plan) for plan in plans]})

    @describe(
        "Make a plan that is sold at one of the provider's prices",
        body=_CREATE,
        answers={200: _ONE},
        refusals=(409, 502),
        of_entity=False,
        description="Make a plan that is sold at one of the provider's prices, which must be active, monthly"
        " and licensed. Of the price only providerPriceId counts: the provider's own values are stored.",
    )
    def post(self, request: BillingRequest) -> HttpResponse:
        body = Reader(request.body_json)
        wish, price_id = _wish(body), _price_id(body)
        body.finish()
        catalog.require_entitlements(wish.entitlements)
        price = provider_prices.recurring(price_id, field=PRICE_FIELD)
        return _answer(catalog.create(wish, price=price, actor=request.actor))


class OnePlan(ConsoleView):
    """PATCH /api/console/billing/plans/{planId}"""

    permission = CATALOG
    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"PATCH": WRITE}

    @describe(
        "Sell a plan at another price from now on",
        body=obj({"corePrice": _CORE_PRICE}),
        answers={200: _ONE},
        refusals=(409, 502),
        of_entity=False,
        description="Sell a plan at another price from now on. The old price is no longer sold, and still"
        " maps the subscriptions that have it to the plan.",
    )
    def patch(self, request: BillingRequest, plan_id: int) -> HttpResponse:
        body = Reader(request.body_json)
        price_id = _price_id(body)
        body.finish()
        if not Plan.objects.filter(pk=plan_id).exists():
            raise catalog.PlanUnknown()
        price = provider_prices.recurring(price_id, field=PRICE_FIELD)
        return _answer(catalog.change_price(plan_id=plan_id, price=price, actor=request.actor))


class ProviderPrices(ConsoleView):
    """GET /api/console/billing/provider-prices"""

    permission = CATALOG
    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"GET": READ}

    @describe(
        "List the provider's newest prices, to choose one from",
        answers={200: obj({"provider": TEXT, "prices": many(_PRICE)})},
        parameters=(
            openapi.query("active", BOOL, "false lists the archived ones"),
            openapi.query("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 100}),
        ),
        refusals=(502,),
        of_entity=False,
    )
    def get(self, request: BillingRequest) -> HttpResponse:
        query = Query(request)
        active = query.boolean("active", default=True)
        limit = query.integer("limit", least=1, most=100, default=100)
        query.finish()
        found = provider_prices.newest(active=active, limit=limit)
        return Json({"provider": settings.BILLING.provider, "prices": [_price(price) for price in found]})


def _wish(body: Reader) -> PlanWish:
    code = body.text("code", most=120, required=True).lower()
    if code and not CODE.fullmatch(code):
        body.fault("code", "code may hold a-z, 0-9, dot, colon, dash and underscore.")
    return PlanWish(
        code=code,
        name=body.text("name", most=160, required=True),
        description=body.text("description", most=5_000) or None,
        is_active=body.boolean("isActive", default=True),
        metadata_json=body.mapping("metadataJson"),
        entitlements=[_entitlement(entry) for entry in body.objects("entitlements", most=200)],
    )


def _entitlement(entry: Reader) -> EntitlementWish:
    value = entry.raw("valueJson")
    if value is ABSENT:
        entry.fault("valueJson", "valueJson is required.")
    return EntitlementWish(
        code=entry.text("code", most=120, required=True),
        schema_version=entry.text("schemaVersion", most=40, required=True),
        value_json=value,
    )


def _price_id(body: Reader) -> str:
    """Read which price is meant; the rest may be sent, of the right type, and is not used."""
    price = body.object("corePrice", required=True)
    if price is None:
        return ""
    price.text("providerProductId", most=191)
    price.text("currency", most=3, least=3)
    price.integer("unitAmountMinor", least=0, most=MAX_MINOR)
    price.choice("interval", ("day", "week", "month", "year"))
    price.integer("intervalCount", least=1, most=1_000)
    return price.text("providerPriceId", most=191, required=True)


def _answer(plan: Plan) -> Json:
    provider = settings.BILLING.provider
    (whole,) = queries.complete(Plan.objects.filter(pk=plan.pk), provider=provider)
    return Json({"provider": provider, "plan": _plan(whole)})


def _plan(plan: Plan) -> dict[str, Any]:
    return serializers.plan(plan, core_price=queries.core_price(plan))


def _price(price: PriceFacts) -> dict[str, Any]:
    return {
        "id": price.id,
        "provider": settings.BILLING.provider,
        "productId": price.product_id,
        "productName": price.product_name,
        "nickname": price.nickname,
        "currency": price.currency or None,
        "unitAmountMinor": price.unit_amount,
        "interval": price.interval,
        "intervalCount": price.interval_count,
        "usageType": price.usage_type,
        "active": price.active,
    }
