"""Paths under which Stripe reaches us."""

from django.urls import path

from settld.stripe_gateway.api import views

urlpatterns = [
    path("api/billing/webhooks/stripe", views.stripe_webhook, name="stripe-webhook"),
    path("api/billing/webhooks/<str:provider>", views.unknown_provider, name="unknown-webhook"),
]
