"""Principals as people read them."""

from collections.abc import Iterable
from typing import Final

from settld.tenants.models import User

PERSON: Final = "person:"
KEY: Final = "auth:"
OPS_TOKEN: Final = "ops_token:"  # noqa: S105  (how the audit names one)


def names(principal_ids: Iterable[str]) -> dict[str, str]:
    """Name principals for people; one query for all persons among them."""
    wanted = set(principal_ids)
    numbers = {name.removeprefix(PERSON) for name in wanted if name.startswith(PERSON)}
    known = User.objects.in_bulk([int(number) for number in numbers if number.isascii() and number.isdigit()])
    return {name: _name(name, known) for name in wanted}


def _name(principal_id: str, known: dict[int, User]) -> str:
    if principal_id.startswith(PERSON):
        number = principal_id.removeprefix(PERSON)
        user = known.get(int(number)) if number.isascii() and number.isdigit() else None
        return (user.get_full_name() or user.get_username()) if user else principal_id
    if principal_id.startswith(KEY):
        return f"API key {principal_id.removeprefix(KEY)}"
    if principal_id.startswith(OPS_TOKEN):
        return f"Ops token {principal_id.removeprefix(OPS_TOKEN)}"
    return principal_id
