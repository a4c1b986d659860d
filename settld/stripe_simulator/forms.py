"""Form decoding with Stripe's nested brackets: `metadata[a]=b`, `expand[]=x`, `created[gte]=1`."""

import re
from typing import Any
from urllib.parse import parse_qsl

from settld.stripe_simulator.errors import StripeError

Form = dict[str, Any]

NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
BRACKET = re.compile(r"\[([^\[\]]*)\]")


def decode(text: str) -> Form:
    """Nested dictionaries with text leaves. Arrays are dictionaries with the keys "0", "1", ..., because only
    the parameter that reads them knows an array from a hash whose keys are digits. Of a repeated name the
    last wins.
    """
    form: Form = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=2000, errors="strict")
    except (ValueError, UnicodeDecodeError) as error:
        raise StripeError("The request body could not be decoded as a form.") from error
    for name, value in pairs:
        _place(form, name, value)
    return form


def _place(form: Form, name: str, value: str) -> None:
    match = NAME.fullmatch(name)
    if match is None:
        raise StripeError(f"Invalid parameter name: {name}", param=name)
    path = [match[1], *BRACKET.findall(match[2])]
    inner = form
    for step in path[:-1]:
        inner = inner.setdefault(step or str(len(inner)), {})
        if not isinstance(inner, dict):
            raise StripeError(f"Invalid hash: {path[0]}", param=path[0])
    last = path[-1] or str(len(inner))
    if isinstance(inner.get(last), dict):
        raise StripeError(f"Invalid string: {path[0]}", param=path[0])
    inner[last] = value


def encode(value: Any) -> Any:
    """The form a JSON value would have been sent as, so that the control door can use the same endpoints."""
    if isinstance(value, dict):
        return {str(name): encode(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return {str(index): encode(item) for index, item in enumerate(value)}
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def flatten(form: Form) -> dict[str, str]:
    """`{"metadata": {"a": "b"}}` as `{"metadata[a]": "b"}`, the spelling that fault rules match on."""
    flat: dict[str, str] = {}
    for name, value in form.items():
        if isinstance(value, dict):
            for inner, text in flatten(value).items():
                head, bracket, rest = inner.partition("[")
                flat[f"{name}[{head}]{bracket}{rest}"] = text
        else:
            flat[name] = value
    return flat
