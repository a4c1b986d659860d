"""Reading values out of a provider's JSON, which may hold anything."""

from collections.abc import Mapping
from typing import Any, Final

from billing.provider_time import ProviderTime

ID_MAX: Final = 191
NUMBER_MAX: Final = 2**53


class ShapeError(ValueError):
    """An object of the provider that lacks, or has in another form, what makes it usable."""


def object_of(value: Any, *kinds: str) -> dict[str, Any]:
    """Read an object of one of these kinds, by its `object` member; of any kind when none is named."""
    if not isinstance(value, Mapping):
        raise ShapeError("not an object")
    if kinds and value.get("object") not in kinds:
        raise ShapeError(f"not a {' or '.join(kinds)}")
    return dict(value)


def members(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Read an object inside an object; empty when there is none."""
    value = body.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ShapeError(f"{key} is not an object")
    return dict(value)


def id_of(value: Any) -> str | None:
    """Read an id that may be missing, a text, or the object that it names; ShapeError for anything else."""
    if value is None or value == "":
        return None
    if isinstance(value, Mapping):
        value = value.get("id")
    if not isinstance(value, str) or not value or len(value) > ID_MAX or not value.isprintable():
        raise ShapeError("an id is a text of 1 to 191 printable characters")
    return value


def required_id(body: Mapping[str, Any], key: str = "id") -> str:
    """Read an id that must be there."""
    value = id_of(body.get(key))
    if value is None:
        raise ShapeError(f"{key} is missing")
    return value


def text(body: Mapping[str, Any], key: str) -> str | None:
    """Read a text; None when it is missing or empty."""
    value = body.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or "\x00" in value:
        raise ShapeError(f"{key} is not a text")
    return value


def required_text(body: Mapping[str, Any], key: str) -> str:
    """Read a text that must be there."""
    value = text(body, key)
    if value is None:
        raise ShapeError(f"{key} is missing")
    return value


def flag(body: Mapping[str, Any], key: str) -> bool:
    """Read a yes or no; missing is no."""
    value = body.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise ShapeError(f"{key} is not a yes or no")
    return value


def whole(body: Mapping[str, Any], key: str) -> int | None:
    """Read a whole number; None when it is missing."""
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > NUMBER_MAX:
        raise ShapeError(f"{key} is not a whole number")
    return value


def amount(body: Mapping[str, Any], key: str) -> int:
    """Read an amount in minor units; missing is nothing."""
    return whole(body, key) or 0


def currency(body: Mapping[str, Any]) -> str | None:
    """Read a currency as three capital letters; None when it is missing."""
    value = text(body, "currency")
    if value is None:
        return None
    if len(value) != 3 or not value.isascii() or not value.isalpha():
        raise ShapeError("currency is not three letters")
    return value.upper()


def required_currency(body: Mapping[str, Any]) -> str:
    """Read a currency that must be there."""
    value = currency(body)
    if value is None:
        raise ShapeError("currency is missing")
    return value


def instant(body: Mapping[str, Any], key: str) -> ProviderTime | None:
    """Read an instant of the provider's clock; None when it is missing."""
    value = whole(body, key)
    if value is None:
        return None
    try:
        return ProviderTime(value)
    except ValueError as error:
        raise ShapeError(f"{key} is no instant") from error


def required_instant(body: Mapping[str, Any], key: str) -> ProviderTime:
    """Read an instant that must be there."""
    value = instant(body, key)
    if value is None:
        raise ShapeError(f"{key} is missing")
    return value


def labels(body: Mapping[str, Any]) -> dict[str, str]:
    """Read an object's metadata; empty when it has none."""
    found = members(body, "metadata")
    if any(not isinstance(value, str) or "\x00" in value for value in found.values()):
        raise ShapeError("metadata holds something other than text")
    return {str(key): value for key, value in found.items()}


def rows(body: Mapping[str, Any], key: str) -> tuple[dict[str, Any], ...]:
    """Read the rows of a list inside an object; empty when there is none."""
    found = members(body, key).get("data")
    if found is None:
        return ()
    if not isinstance(found, list):
        raise ShapeError(f"{key} is not a list")
    return tuple(object_of(row) for row in found)
