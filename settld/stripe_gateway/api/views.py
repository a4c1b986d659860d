"""POST /api/billing/webhooks/stripe: raw bytes in, 200 once they are stored, and applied if inline."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from settld.core import clock
from settld.stripe_gateway import client
from settld.stripe_gateway.api.bodies import read_limited
from settld.stripe_gateway.api.refusals import NotFound, renders_refusals
from settld.stripe_gateway.services import inbox

WEBHOOK_MAX_BYTES = 262_144


@csrf_exempt
@renders_refusals
def stripe_webhook(request: HttpRequest) -> HttpResponse:
    """Trust the signature over the raw bytes and nothing else; any failure asks for redelivery.

    With checkout billing off the door still serves whoever else has a Stripe key or an endpoint secret;
    without either there is no door.
    """
    if not _is_open():
        return JsonResponse({"error": "Not found."}, status=404)
    if request.method != "POST":
        raise NotFound()
    stripe = settings.STRIPE
    inbox.receive(
        payload=read_limited(request, WEBHOOK_MAX_BYTES),
        signature=request.headers.get("Stripe-Signature", ""),
        trust=inbox.Trust(
            secrets=stripe.webhook_secrets,
            tolerance_seconds=stripe.webhook_tolerance_seconds,
            is_live=client.is_live() if client.is_configured() else None,
            api_version=stripe.pinned_api_version,
        ),
        now=clock.now(),
    )
    return JsonResponse({"ok": True})


def _is_open() -> bool:
    return bool(settings.BILLING.enabled or client.is_configured() or settings.STRIPE.webhook_secrets)


@csrf_exempt
@renders_refusals
def unknown_provider(request: HttpRequest, provider: str) -> HttpResponse:
    """Answer a provider that we have no door for."""
    raise NotFound()
