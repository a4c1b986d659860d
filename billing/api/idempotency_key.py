"""The client's name for one effect (section 4)."""

from typing import Final

from django.http import HttpRequest

from settld.core.errors import Invalid

HEADER: Final = "Idempotency-Key"
LONGEST: Final = 191


class KeyRequired(Invalid):
    """The header is missing or blank."""

    code = "IDEMPOTENCY_KEY_REQUIRED"
    message = "Idempotency-Key header is required."


class KeyInvalid(Invalid):
    """The key is too long, or has characters outside printable ASCII."""

    code = "IDEMPOTENCY_KEY_INVALID"
    message = f"Idempotency-Key must have at most {LONGEST} printable ASCII characters."


def required(request: HttpRequest) -> str:
    """Read the trimmed key; KeyRequired or KeyInvalid."""
    key = request.headers.get(HEADER, "").strip(" \t")
    if not key:
        raise KeyRequired()
    if len(key) > LONGEST or not all(" " <= character <= "~" for character in key):
        raise KeyInvalid()
    return key
