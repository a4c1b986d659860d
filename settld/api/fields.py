"""Reading a request body: known keys are typed strictly, unknown keys are ignored (P1)."""

import datetime as dt
from typing import Any

from settld.core import clock
from settld.core.errors import Invalid
from settld.core.money import MAX_MINOR


class Body:
    """A parsed JSON object, or query parameters, read key by key; a wrong type is Invalid, never coerced."""

    def __init__(self, values: dict[str, Any], *, message: str | None = None) -> None:
        self.values = values
        self.message = message

    def has(self, key: str) -> bool:
        """Tell whether the key was sent at all, null included."""
        return key in self.values

    def fault(self, problem: str) -> Invalid:
        """Make the refusal for a fault in this body."""
        if self.message:
            return Invalid(self.message, details={"message": problem})
        return Invalid(problem)

    def text(self, key: str, *, default: str | None = None, most: int = 500) -> str | None:
        """Read a trimmed text; absent, null and blank are the default."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.fault(f"{key} must be a string")
        if len(value) > most:
            raise self.fault(f"{key} must have at most {most} characters")
        return value.strip() or default

    def required_text(self, key: str, *, most: int = 500) -> str:
        """Read a text that must be there."""
        value = self.text(key, most=most)
        if value is None:
            raise self.fault(f"{key} is required")
        return value

    def integer(
        self, key: str, *, default: int | None = None, least: int = -MAX_MINOR, most: int = MAX_MINOR
    ) -> int | None:
        """Read an integer, also from a string of decimal digits; a boolean is never an integer."""
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 16:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.fault(f"{key} must be an integer")
        if not least <= value <= most:
            raise self.fault(f"{key} must be from {least} to {most}")
        return value

    def boolean(self, key: str, *, default: bool | None = None) -> bool | None:
        """Read a JSON boolean; the text "true" is not one."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.fault(f"{key} must be a boolean")
        return value

    def choice(self, key: str, choices: tuple[str, ...], *, default: str | None = None) -> str | None:
        """Read one of a few words, in any letter case."""
        value = self.text(key)
        if value is None:
            return default
        if value.lower() not in {choice.lower() for choice in choices}:
            raise self.fault(f"{key} must be one of {', '.join(choices)}")
        return next(choice for choice in choices if choice.lower() == value.lower())

    def instant(self, key: str, *, default: dt.datetime | None = None) -> dt.datetime | None:
        """Read an ISO 8601 date-time with an offset."""
        value = self.text(key, most=64)
        if value is None:
            return default
        try:
            return clock.parse_iso(value)
        except ValueError as error:
            raise self.fault(f"{key} must be an ISO 8601 date-time with an offset") from error

    def object(self, key: str) -> dict[str, Any] | None:
        """Read a JSON object or null."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, dict):
            raise self.fault(f"{key} must be an object")
        return value

    def texts(self, key: str, *, most: int = 1000) -> list[str] | None:
        """Read an array of non-empty texts: trimmed, without repeats, in order."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) > most:
            raise self.fault(f"{key} must be an array of at most {most} strings")
        if not all(isinstance(entry, str) and entry.strip() for entry in value):
            raise self.fault(f"{key} must hold non-empty strings")
        return list(dict.fromkeys(entry.strip() for entry in value))


def period(text: str | None, *, message: str = "period must match YYYY-MM") -> str:
    """Require a month as YYYY-MM."""
    if text is None or not clock.is_period(text):
        raise Invalid(message)
    return text
