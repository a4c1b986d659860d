"""Reading the JSON that the control door is sent."""

from typing import Any

from settld.stripe_simulator.wire import Json


class BadControl(Exception):
    """The door was asked for something it does not do; `status` and the text go back."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def known(body: Json, *names: str) -> None:
    """Refuse misspelt names: a fault that silently never fires costs an afternoon."""
    unknown = sorted(set(body) - set(names))
    if unknown:
        raise BadControl(f"unknown field {unknown[0]!r}; known: {', '.join(sorted(names))}")


def integer(body: Json, name: str, default: Any = None) -> Any:
    return _typed(body, name, default, int, "a whole number")


def text(body: Json, name: str, default: Any = None) -> Any:
    return _typed(body, name, default, str, "a text")


def mapping(body: Json, name: str) -> Json:
    return dict(_typed(body, name, {}, dict, "an object"))


def boolean(body: Json, name: str) -> bool | None:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise BadControl(f"{name} must be true or false")
    return value


def texts(body: Json, name: str) -> dict[str, str]:
    """An object whose values are texts, such as metadata."""
    found = mapping(body, name)
    if not all(isinstance(value, str) for value in found.values()):
        raise BadControl(f"{name} values are texts")
    return found


def rules(body: Json) -> list[Json]:
    found = _typed(body, "rules", [], list, "a list of objects")
    if not all(isinstance(rule, dict) for rule in found):
        raise BadControl("rules must be a list of objects")
    return list(found)


def _typed(body: Json, name: str, default: Any, kind: type, wording: str) -> Any:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BadControl(f"{name} must be {wording}")
    return value
