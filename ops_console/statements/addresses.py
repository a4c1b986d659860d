"""Where a statement's pages are."""

from urllib.parse import quote, urlencode


def statement_href(*, period: str, party_id: str, role: str = "", currency: str = "") -> str:
    """Name the page of a party's statement for a month."""
    query = {name: value for name, value in (("role", role), ("currency", currency)) if value}
    tail = f"?{urlencode(query)}" if query else ""
    return f"/console/statements/{period}/{quote(party_id, safe=':')}{tail}"
