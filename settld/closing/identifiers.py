"""What parties, roles and currencies may be called."""

import re

from settld.core.errors import Invalid

# Lower case only, so that "Operator" is refused instead of being a role that nobody ever pays.
ROLE = re.compile(r"[a-z][a-z0-9_]{0,63}")
CURRENCY = re.compile(r"[A-Z]{3}")
MOST_PARTY_ID_CHARACTERS = 200


def party_id_of(text: str) -> str:
    """Read a party's id; it becomes part of payout keys, so it is one printable line."""
    if not 1 <= len(text) <= MOST_PARTY_ID_CHARACTERS or text != text.strip() or not text.isprintable():
        raise Invalid("invalid partyId")
    return text
