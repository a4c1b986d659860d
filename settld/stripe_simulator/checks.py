"""Types of what the control door is given, before it can spoil anything."""

from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


def require_types(instance: object) -> None:
    """Raise ValueError unless each field of a dataclass holds a value of its annotated type."""
    for name, hint in get_type_hints(type(instance)).items():
        choices = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        value = getattr(instance, name)
        if not any(_fits(value, get_origin(choice) or choice) for choice in choices):
            raise ValueError(f"{name} must not be {value!r}")


def _fits(value: Any, wanted: type) -> bool:
    if isinstance(value, bool) or wanted is bool:
        return isinstance(value, bool) and wanted is bool
    return isinstance(value, (int, float) if wanted is float else wanted)


def require_not_negative(instance: object, *names: str) -> None:
    for name in names:
        value = getattr(instance, name)
        if value is not None and value < 0:
            raise ValueError(f"{name} must not be negative")
