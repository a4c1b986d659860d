"""Routes of keys, tenants and their settings."""

from django.urls import path

from settld.tenants.api import views_keys as keys
from settld.tenants.api import views_signer_keys as signers
from settld.tenants.api.views_bootstrap import BootstrapTenant
from settld.tenants.api.views_config import OpsConfig

urlpatterns = [
    path("ops/tenants/bootstrap", BootstrapTenant.as_view()),
    path("ops/config", OpsConfig.as_view()),
    path("ops/signer-keys", signers.SignerKeys.as_view()),
    path("ops/signer-keys/<str:key_id>/rotate", signers.RotateSignerKey.as_view()),
    path("ops/signer-keys/<str:key_id>/revoke", signers.RevokeSignerKey.as_view()),
    *(
        route
        for base in ("ops/api-keys", "ops/auth-keys")
        for route in (
            path(base, keys.AuthKeys.as_view()),
            path(f"{base}/<str:key_id>/rotate", keys.RotateAuthKey.as_view()),
            path(f"{base}/<str:key_id>/revoke", keys.RevokeAuthKey.as_view()),
        )
    ),
]
