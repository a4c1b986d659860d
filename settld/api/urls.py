"""Discovery routes."""

from django.urls import path

from settld.api import discovery
from settld.api.metrics import Metrics

urlpatterns = [
    path("health", discovery.health),
    path("healthz", discovery.healthz),
    path("capabilities", discovery.capabilities),
    path(".well-known/settld-signing-keys.json", discovery.signing_keys),
    path(".well-known/settld-signing-keys.pem", discovery.signing_keys_pem),
    path("metrics", Metrics.as_view()),
    path("openapi.json", discovery.openapi_json),
]
