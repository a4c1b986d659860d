"""Where a browser is sent back to: a path of this deployment's own pages, nothing else (INV-47, T-157)."""

import re
from typing import Final
from urllib.parse import urljoin, urlsplit

from django.conf import settings

from billing.api.errors import ValidationFailed

LONGEST: Final = 2048
_FORBIDDEN = re.compile(r"[\\\x00-\x1f\x7f]")


def require(**sent: str) -> dict[str, str]:
    """Check paths by the names that the client gave them, such as successPath="/done"; gives them trimmed.

    ValidationFailed names each that is no relative path, or that would leave the site once joined.
    """
    cleaned = {name: value.strip(" ") for name, value in sent.items()}
    faults = {
        name: f"{name} must be a relative path starting with '/'."
        for name, value in cleaned.items()
        if not is_ours(value)
    }
    if faults:
        raise ValidationFailed(faults)
    return cleaned


def is_ours(path: str) -> bool:
    """Tell whether a path stays on the origin of APP_PUBLIC_URL."""
    if not 1 <= len(path) <= LONGEST or not path.startswith("/") or path[1:2] == "/":
        return False
    if _FORBIDDEN.search(path):
        return False
    try:
        parts = urlsplit(path)
        there = urlsplit(absolute(path))
    except ValueError:
        return False
    if parts.scheme or parts.netloc:
        return False
    home = urlsplit(settings.BILLING.app_public_url)
    return (there.scheme, there.netloc) == (home.scheme, home.netloc)


def absolute(path: str) -> str:
    """Join a checked path with APP_PUBLIC_URL."""
    return urljoin(settings.BILLING.app_public_url + "/", path)
