"""All routes: each room names its own; what nobody names is refused by the API's manners."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path

from settld.api.views import unknown_path
from settld.tenants import pages

ROOMS = (
    "settld.api.urls",
    "settld.tenants.api.urls",
    "settld.audit.api.urls",
    "settld.artifacts.api.urls",
    "settld.metering.api.urls",
    "settld.maintenance.api.urls",
    "settld.stripe_gateway.api.urls",
    "settld.kernel.api.urls",
    "settld.ledger.api.urls",
    "settld.closing.api.urls",
    "moneyrails.api.urls",
    "billing.plans.api.urls",
    "billing.api.urls",
    "reconciliation.api.urls",
    "ops_console.evidence.urls",
    "ops_console.urls",
)

urlpatterns: list[URLPattern | URLResolver] = [
    *(path("", include(room)) for room in ROOMS),
    path("login", pages.Login.as_view(), name="login"),
    path("login/second-factor", pages.second_factor, name="second-factor"),
    path("logout", pages.Logout.as_view(), name="logout"),
    path("admin/login/", pages.admin_login),
    path("admin/", admin.site.urls),
    re_path(r"^[\s\S]*$", unknown_path),  # a line feed in a path is a path, too
]

handler500 = pages.server_error
