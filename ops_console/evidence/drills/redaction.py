"""Keeping the ops token out of everything that is written down."""

from typing import Any, Final

HIDDEN: Final = "***"
# A shorter token would be found by chance in texts that have nothing to do with it.
LEAST_SUBSTRING: Final = 8


def redacted(value: Any, token: str) -> Any:
    """Replace the token wherever it stands in a JSON value or a text."""
    if isinstance(value, str):
        if value == token:
            return HIDDEN
        return value.replace(token, HIDDEN) if len(token) >= LEAST_SUBSTRING else value
    if isinstance(value, dict):
        return {redacted(name, token): redacted(member, token) for name, member in value.items()}
    if isinstance(value, list):
        return [redacted(member, token) for member in value]
    return value


def holds(value: Any, token: str) -> bool:
    """Tell whether a text gives the token away."""
    return isinstance(value, str) and bool(value) and redacted(value, token) != value
