"""Where a form of the billing page may lead: browsers apply form-action to the redirect after a POST, too."""

from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

PROVIDER_API: Final = "https://api.stripe.com"
PROVIDER_PAGES: Final = (
    "https://billing.stripe.com",
    "https://buy.stripe.com",
    "https://checkout.stripe.com",
)


def allowed() -> list[str]:
    """List the origins of the provider's pages; those of a stand-in are at its own address."""
    api = origin_of(settings.STRIPE.api_base_url) or PROVIDER_API
    return list(PROVIDER_PAGES) if api == PROVIDER_API else [api]


def is_allowed(url: str) -> bool:
    """Tell whether a form's answer may redirect there."""
    return origin_of(url) in allowed()


def origin_of(url: str) -> str:
    """Give scheme, host and port of an address; blank when it has none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else ""
