"""The tenants app."""

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """Who may do what, where."""

    name = "settld.tenants"
    label = "tenants"
    verbose_name = "Tenants and access"

    def ready(self) -> None:
        """Tell the HTTP layer how to find out who calls."""
        from settld.api.exchange import exchange
        from settld.tenants import checks  # noqa: F401  (registers system checks)
        from settld.tenants.authentication import authenticate, make_tenant
        from settld.tenants.middleware import note_platform_read
        from settld.tenants.rate_limits import RedisRateLimiter

        exchange.authenticate = authenticate
        exchange.rate_limiter = RedisRateLimiter()
        exchange.make_tenant = make_tenant
        exchange.note_platform_read = note_platform_read
