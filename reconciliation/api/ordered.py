"""Reading what a round is ordered to cover: the month under either name, and limits."""

from typing import Final

from settld.api.fields import Body
from settld.api.openapi import INT
from settld.core import clock
from settld.core.errors import Invalid

MOST_TENANTS, MOST_PERIODS = 1000, 24
LIMIT: Final = {"anyOf": [INT, {"type": "string", "pattern": "^[0-9]+$"}]}


def period(given: Body) -> str | None:
    """Read `period`, or its alias `month`; None when neither is sent."""
    named = {text for key in ("period", "month") if (text := given.text(key))}
    if not named:
        return None
    found = named.pop()
    if named or not clock.is_period(found):
        raise Invalid("invalid period", details={"message": "period must match YYYY-MM"})
    return found


def limit(given: Body, *names: str, default: int, most: int, told: str = "") -> int:
    """Read a positive integer under its name or alias; more than the most is cut to it.

    A refusal names it as `told`, or as it was sent.
    """
    for name in names:
        value = given.values.get(name)
        if value is None:
            continue
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value) if len(value) <= 15 else most
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise Invalid(f"invalid {told or name}")
        return min(value, most)
    return min(default, most)
