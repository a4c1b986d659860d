"""Which providers this deployment has; read at call time, so that a test may override the setting."""

from django.conf import settings

from settld.core.errors import Invalid, NotFound
from settld.settings_parsing import Provider

__all__ = [
    "Provider",
    "ProviderNotFound",
    "ProviderUnknown",
    "all_providers",
    "by_path",
    "chosen",
    "default_id",
]


class ProviderUnknown(Invalid):
    """A body names a provider that is not configured."""

    code = "MONEY_RAIL_PROVIDER_UNKNOWN"
    message = "unknown money rail provider"


class ProviderNotFound(NotFound):
    """A path names a provider that is not configured."""

    message = "money rail provider not found"


def default_id() -> str:
    """Name the deployment's default provider."""
    return str(settings.MONEY_RAILS.default_provider_id)


def all_providers() -> dict[str, Provider]:
    """Give every configured provider by id."""
    providers: dict[str, Provider] = settings.MONEY_RAILS.providers
    return providers


def chosen(provider_id: str) -> Provider:
    """Give the provider that a body names; an empty id means the default."""
    wanted = provider_id or default_id()
    provider = all_providers().get(wanted)
    if provider is None:
        raise ProviderUnknown(details={"providerId": wanted})
    return provider


def by_path(provider_id: str) -> Provider:
    """Give the provider that a path names."""
    provider = all_providers().get(provider_id)
    if provider is None:
        raise ProviderNotFound()
    return provider
