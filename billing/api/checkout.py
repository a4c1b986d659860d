"""POST /api/billing/checkout"""

from typing import Final

from django.conf import settings
from django.http import HttpResponse

from billing.api import idempotency_key, paths
from billing.api.base import WRITE, BillingRequest, BillingView
from billing.api.describing import describe
from billing.api.schema import Reader
from billing.services import checkout
from billing.services.checkout_order import CheckoutOrder, OneOff
from billing.states import Flow
from settld.api import openapi
from settld.api.openapi import INSTANT, INT, TEXT, maybe, obj
from settld.api.responses import Json

TYPES: Final = {
    "subscription": Flow.SUBSCRIPTION,
    "one_off": Flow.ONE_OFF,
    "one-off": Flow.ONE_OFF,
    "oneoff": Flow.ONE_OFF,
    "payment": Flow.ONE_OFF,
}
BODY: Final = obj(
    {
        "checkoutType": openapi.one_of(*TYPES),
        "planCode": TEXT,
        "oneOff": obj(
            {"name": TEXT, "amountMinor": INT, "quantity": INT, "currency": TEXT},
            optional=("quantity", "currency"),
        ),
        "successPath": TEXT,
        "cancelPath": TEXT,
    },
    optional=("checkoutType", "planCode", "oneOff"),
)
ANSWER: Final = obj(
    {
        "provider": TEXT,
        "billableEntityId": INT,
        "operationKey": TEXT,
        "checkoutType": TEXT,
        "checkoutSession": obj(
            {
                "providerCheckoutSessionId": maybe(TEXT),
                "status": TEXT,
                "providerStatus": maybe(TEXT),
                "checkoutUrl": maybe(TEXT),
                "expiresAt": maybe(INSTANT),
                "customerId": maybe(TEXT),
                "subscriptionId": maybe(TEXT),
            }
        ),
    }
)


class Checkout(BillingView):
    """POST /api/billing/checkout"""

    scopes = {"POST": WRITE}

    @describe(
        "Start a checkout, or replay the one that the Idempotency-Key names",
        body=BODY,
        answers={200: ANSWER},
        refusals=(404, 502),
        description="Start a checkout at the provider and answer with the address to send the payer to. The"
        " same Idempotency-Key with the same body always gives the same answer, a success with"
        " `Idempotent-Replayed: true`. 409 `request_in_progress` says that the outcome is not known yet:"
        " repeat the request with the same key after `Retry-After` seconds; nothing is ever started twice.",
        with_key=True,
        is_write=True,
    )
    def post(self, request: BillingRequest) -> HttpResponse:
        flow, plan_code, one_off, success_path, cancel_path = _read(Reader(request.body_json))
        client_key = idempotency_key.required(request)
        checked = paths.require(successPath=success_path, cancelPath=cancel_path)
        access = self.entity(request, write=True)
        answer = checkout.start(
            tenant_id=access.tenant_id,
            entity_id=access.entity.pk,
            client_key=client_key,
            order=CheckoutOrder(
                flow=flow,
                plan_code=plan_code,
                one_off=one_off,
                success_path=checked["successPath"],
                cancel_path=checked["cancelPath"],
            ),
        )
        return Json(answer.body, status=answer.status, headers=answer.headers)


def _read(body: Reader) -> tuple[Flow, str | None, OneOff | None, str, str]:
    """Read the body; ValidationFailed names every fault. A thing for the other flow is one, too."""
    flow = TYPES[body.choice("checkoutType", tuple(TYPES), default="subscription")]
    is_plan = flow == Flow.SUBSCRIPTION
    plan_code = body.text("planCode", most=120, required=is_plan).lower()
    one_off = _one_off(body, required=not is_plan)
    if is_plan and body.has("oneOff"):
        body.fault("oneOff", "oneOff is not part of a subscription checkout.")
    if not is_plan and body.has("planCode"):
        body.fault("planCode", "planCode is not part of a one-off checkout.")
    success_path, cancel_path = body.path("successPath"), body.path("cancelPath")
    body.finish()
    return flow, plan_code if is_plan else None, one_off, success_path, cancel_path


def _one_off(body: Reader, *, required: bool) -> OneOff | None:
    what = body.object("oneOff", required=required)
    if what is None:
        return None
    deployment = settings.BILLING.currency
    currency = what.text("currency", least=3, most=3, default=deployment).upper()
    if currency != deployment:
        what.fault("currency", f"currency must be {deployment}.")
    return OneOff(
        name=what.text("name", most=160, required=True),
        amount_minor=what.integer("amountMinor", least=1, most=99_999_999, required=True),
        quantity=what.integer("quantity", least=1, most=10_000, default=1),
        currency=currency,
    )
