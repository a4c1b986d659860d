"""GET, POST /api/console/billing/catalog-items; PATCH .../catalog-items/{itemId}"""

from typing import ClassVar

from django.conf import settings
from django.http import HttpResponse

from billing.api import serializers
from billing.api.base import READ, WRITE, BillingRequest
from billing.api.console_base import CATALOG, ConsoleView
from billing.api.describing import describe
from billing.api.schema import Reader
from billing.services import catalog_items, provider_prices
from settld.api.openapi import BOOL, TEXT, many, maybe, obj
from settld.api.responses import Json

_ONE = obj({"provider": TEXT, "item": serializers.catalog_item.schema})


class CatalogItems(ConsoleView):
    """GET, POST /api/console/billing/catalog-items"""

    permission = CATALOG
    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"GET": READ, "POST": WRITE}

    @describe(
        "List the one-time prices on offer, and those no longer offered",
        answers={200: obj({"provider": TEXT, "items": many(serializers.catalog_item.schema)})},
        of_entity=False,
    )
    def get(self, request: BillingRequest) -> HttpResponse:
        provider = settings.BILLING.provider
        items = serializers.catalog_item.all(catalog_items.every(provider=provider))
        return Json({"provider": provider, "items": items})

    @describe(
        "Offer one of the provider's one-time prices",
        body=obj({"providerPriceId": TEXT, "name": maybe(TEXT)}, optional=("name",)),
        answers={200: _ONE},
        refusals=(409, 502),
        of_entity=False,
    )
    def post(self, request: BillingRequest) -> HttpResponse:
        body = Reader(request.body_json)
        price_id = body.text("providerPriceId", most=191, required=True)
        name = body.text("name", most=160)
        body.finish()
        price, known_as = provider_prices.one_time(price_id, field="providerPriceId")
        item = catalog_items.offer(
            price=price, name=(name or known_as or price_id)[:160], actor=request.actor
        )
        return Json({"provider": price.provider, "item": serializers.catalog_item(item)})


class OneCatalogItem(ConsoleView):
    """PATCH /api/console/billing/catalog-items/{itemId}"""

    permission = CATALOG
    scopes: ClassVar[dict[str, tuple[str, ...]]] = {"PATCH": WRITE}

    @describe(
        "Rename an item, or offer it no longer or again",
        body=obj({"name": maybe(TEXT), "isActive": maybe(BOOL)}, optional=("name", "isActive")),
        answers={200: _ONE},
        of_entity=False,
    )
    def patch(self, request: BillingRequest, item_id: int) -> HttpResponse:
        body = Reader(request.body_json)
        name = body.text("name", most=160)
        is_active = body.boolean("isActive", default=True) if body.has("isActive") else None
        body.finish()
        item = catalog_items.change(item_id=item_id, name=name, is_active=is_active, actor=request.actor)
        return Json({"provider": item.provider, "item": serializers.catalog_item(item)})
