"""Routes of keys and tenants."""

from django.urls import path

from settld.tenants.api import views_keys as keys
from settld.tenants.api.views_bootstrap import BootstrapTenant

urlpatterns = [
    path("ops/tenants/bootstrap", BootstrapTenant.as_view()),
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
