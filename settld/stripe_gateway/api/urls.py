"""Paths under which Stripe reaches us."""

from django.urls import path

from settld.api import openapi
from settld.stripe_gateway.api import views

urlpatterns = [
    path("api/billing/webhooks/stripe", views.stripe_webhook, name="stripe-webhook"),
    path("api/billing/webhooks/<str:provider>", views.unknown_provider, name="unknown-webhook"),
]

openapi.plain(
    "/api/billing/webhooks/stripe",
    "post",
    summary="Take an event that Stripe signed; it is stored once, then applied, here or by a worker",
    body=openapi.OBJECT,
    answers={200: openapi.OBJECT} | dict.fromkeys((400, 404, 409, 413, 500, 503), openapi.OBJECT),
)
