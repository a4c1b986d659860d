"""What parties, roles and currencies may be called."""

import re

from settld.api import fields
from settld.core.columns import ROLE_PATTERN
from settld.core.errors import Invalid

# Lower case only, so that "Operator" is refused instead of being a role that nobody ever pays.
ROLE = re.compile(ROLE_PATTERN)
CURRENCY = re.compile(r"[A-Z]{3}")
MOST_PARTY_ID_CHARACTERS = 200


def party_id_of(text: str) -> str:
    """Read a party's id; it becomes part of payout keys, so it is one printable line."""
    if not 1 <= len(text) <= MOST_PARTY_ID_CHARACTERS or text != text.strip() or not text.isprintable():
        raise Invalid("invalid partyId")
    return text


def month_of(text: str | None, *, message: str = "period must match YYYY-MM") -> str:
    """Read a month whose first instant, and the first after it, the calendar has."""
    month = fields.period(text, message=message)
    if not "0001-01" <= month <= "9999-11":
        raise Invalid("period is beyond the calendar")
    return month
