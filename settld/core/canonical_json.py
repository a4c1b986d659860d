"""Canonical JSON (RFC 8785) with the rejections that our hashes rely on."""

import math
from collections.abc import Mapping
from typing import Any

import rfc8785

MAX_INTEGER = 2**53 - 1


class CanonicalJsonError(ValueError):
    """A value has no canonical form here; the message says which rule it breaks."""


def dumps(value: Any) -> bytes:
    """Serialise to canonical UTF-8 bytes.

    Raises CanonicalJsonError for NaN, infinities, negative zero, integers beyond 2^53-1, lone
    surrogates, non-string keys and values that are not JSON. Source: spec/money-rails.md 5.
    """
    _require_hashable(value)
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, ValueError, OverflowError) as error:
        raise CanonicalJsonError(str(error)) from error


def _require_hashable(value: Any) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _require_text(value)
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise CanonicalJsonError("integer beyond 2^53-1")
    elif isinstance(value, float):
        if not math.isfinite(value) or (value == 0 and math.copysign(1, value) < 0):
            raise CanonicalJsonError("number is NaN, infinite or negative zero")
    elif isinstance(value, Mapping):
        for key, member in value.items():
            if not isinstance(key, str):
                raise CanonicalJsonError("object key is not a string")
            _require_text(key)
            _require_hashable(member)
    elif isinstance(value, list | tuple):
        for member in value:
            _require_hashable(member)
    else:
        raise CanonicalJsonError(f"{type(value).__name__} is not JSON")


def _require_text(text: str) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise CanonicalJsonError("lone surrogate")
