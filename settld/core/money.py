"""Money as whole minor units; a float never enters."""

from typing import Any

MAX_MINOR = 2**53 - 1


def is_minor(value: Any) -> bool:
    """Tell whether a value is an integer amount that survives every JSON reader."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_MINOR


def exact(total: int) -> int | str:
    """Write a sum exactly: as digits in a text once it passes what every JSON reader keeps."""
    return total if abs(total) <= MAX_MINOR else str(total)


def show(amount_cents: int, currency: str) -> str:
    """Write an amount for people, as in 1,234.56 USD."""
    sign = "-" if amount_cents < 0 else ""
    major, minor = divmod(abs(amount_cents), 100)
    return f"{sign}{major:,}.{minor:02d} {currency}"
