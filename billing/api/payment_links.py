"""GET and POST /api/billing/payment-links, POST /api/billing/payment-links/{id}/deactivate"""

import re
from typing import Final

from django.conf import settings
from django.http import HttpResponse

from billing import clock
from billing.api import idempotency_key, paths, serializers
from billing.api.base import READ, WRITE, BillingRequest, BillingView
from billing.api.describing import describe
from billing.api.schema import Reader
from billing.queries import payment_links as queries
from billing.services import payment_link_end, payment_links
from billing.services.payment_link_end import PaymentLinkNotFound
from billing.services.payment_link_items import LineItem
from settld.api.openapi import ANY, BOOL, INSTANT, INT, TEXT, many, maybe, obj
from settld.api.responses import Json

MOST_LINES: Final = 20
AMOUNT_MOST: Final = 99_999_999
QUANTITY_MOST: Final = 10_000
BIGGEST_ID: Final = 2**63 - 1
PRICE_ID: Final = re.compile(r"[A-Za-z0-9_.\-]+", re.ASCII)
payment_link = serializers.Row(
    billable_entity_id=serializers.ID,
    provider=TEXT,
    provider_payment_link_id=TEXT,
    operation_key=TEXT,
    url=TEXT,
    active=BOOL,
    line_items_json=many(ANY),
    deactivated_at=maybe(INSTANT),
)
AD_HOC: Final = {"name": TEXT, "amountMinor": INT, "currency": TEXT, "quantity": INT}
BODY: Final = obj(
    {
        "successPath": TEXT,
        "lineItems": many(obj({"priceId": TEXT, **AD_HOC}, optional=("priceId", *AD_HOC))),
        "oneOff": obj(AD_HOC, optional=("currency", "quantity")),
    },
    optional=("lineItems", "oneOff"),
)
MADE: Final = obj(
    {
        "provider": TEXT,
        "billableEntityId": INT,
        "operationKey": TEXT,
        "paymentLink": obj({"id": TEXT, "url": TEXT, "active": BOOL}),
    }
)


class PaymentLinks(BillingView):
    """GET and POST /api/billing/payment-links"""

    scopes = {"GET": READ, "POST": WRITE}

    @describe(
        "List the entity's payment links, the newest first",
        answers={
            200: obj(
                {
                    "billableEntity": serializers.billable_entity.schema,
                    "paymentLinks": many(payment_link.schema),
                }
            )
        },
        refusals=(404,),
        description="List the entity's payment links, at most 100.",
    )
    def get(self, request: BillingRequest) -> HttpResponse:
        entity = self.entity(request).entity
        return Json(
            {
                "billableEntity": serializers.billable_entity(entity),
                "paymentLinks": payment_link.all(queries.newest(entity)),
            }
        )

    @describe(
        "Make a payment link, or replay the one that the Idempotency-Key names",
        body=BODY,
        answers={200: MADE},
        refusals=(404, 429, 502),
        description="Make a link that anybody may pay, for one to twenty lines: one-time prices of the"
        " catalog or of the provider, or names with amounts. `oneOff` is short for one such line. A price"
        " that is inactive, recurring or in another currency is refused with 400; the key stays unused.",
        with_key=True,
        is_write=True,
    )
    def post(self, request: BillingRequest) -> HttpResponse:
        success_path, items = _read(Reader(request.body_json))
        client_key = idempotency_key.required(request)
        checked = paths.require(successPath=success_path)
        access = self.entity(request, write=True)
        answer = payment_links.create(
            entity=access.entity,
            client_key=client_key,
            success_path=checked["successPath"],
            items=items,
            now=clock.now(),
        )
        return Json(answer.body, status=answer.status, headers=answer.headers)


class DeactivatePaymentLink(BillingView):
    """POST /api/billing/payment-links/{paymentLinkId}/deactivate"""

    scopes = {"POST": WRITE}

    @describe(
        "Have a payment link take no more money",
        body=obj({}),
        answers={
            200: obj(
                {
                    "billableEntity": serializers.billable_entity.schema,
                    "paymentLink": payment_link.schema,
                }
            )
        },
        refusals=(404, 502),
        description="Switch a link off, by the `id` that the list gives. One that is off already stays so.",
        is_write=True,
    )
    def post(self, request: BillingRequest, payment_link_id: str) -> HttpResponse:
        Reader(request.body_json).finish()
        access = self.entity(request, write=True)
        link = payment_link_end.deactivate(
            entity=access.entity, payment_link_id=_id(payment_link_id), now=clock.now()
        )
        return Json(
            {
                "billableEntity": serializers.billable_entity(access.entity),
                "paymentLink": payment_link(link),
            }
        )


def _id(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > BIGGEST_ID:
        raise PaymentLinkNotFound()
    return int(text)


def _read(body: Reader) -> tuple[str, list[LineItem]]:
    """Read the body; ValidationFailed names every fault."""
    success_path = body.path("successPath")
    has_lines, has_one_off = body.has("lineItems"), body.has("oneOff")
    if has_lines == has_one_off:
        body.fault("lineItems", "Exactly one of lineItems and oneOff is required.")
    lines = body.objects("lineItems", least=1 if has_lines else 0, most=MOST_LINES)
    items = [_line(line) for line in lines]
    one_off = body.object("oneOff")
    if one_off is not None:
        items = [_ad_hoc(one_off)]
    body.finish()
    return success_path, items


def _line(line: Reader) -> LineItem:
    if not line.has("priceId"):
        return _ad_hoc(line)
    price_id = line.text("priceId", most=191, required=True)
    if price_id and not PRICE_ID.fullmatch(price_id):
        line.fault("priceId", "priceId is not the id of a price.")
    for name in ("name", "amountMinor", "currency"):
        if line.has(name):
            line.fault(name, f"{name} does not go with priceId.")
    return LineItem(price_id=price_id, quantity=_quantity(line))


def _ad_hoc(line: Reader) -> LineItem:
    deployment = settings.BILLING.currency
    currency = line.text("currency", least=3, most=3, default=deployment).upper()
    if currency != deployment:
        line.fault("currency", f"currency must be {deployment}.")
    return LineItem(
        name=line.text("name", most=160, required=True),
        amount_minor=line.integer("amountMinor", least=1, most=AMOUNT_MOST, required=True),
        currency=currency,
        quantity=_quantity(line),
    )


def _quantity(line: Reader) -> int:
    return line.integer("quantity", least=1, most=QUANTITY_MOST, default=1)
