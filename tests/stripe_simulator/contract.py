"""Objects checked against Stripe's own description of them, twice over.

`stripe_shapes.json` has the fields and JSON types of the samples that Stripe publishes with its API
description: which fields an object carries. The classes of the pinned SDK know what the samples do not: which
fields may be null, and which words a field may hold.
"""

import functools
import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ForwardRef

import stripe
from stripe._object_classes import get_object_class
from stripe._stripe_object import UntypedStripeObject

SHAPES: dict[str, Any] = json.loads(Path(__file__).with_name("stripe_shapes.json").read_text("utf-8"))
# Hashes whose fields are not Stripe's to say, or of which only the parts in use are there.
FREE = frozenset(
    ("metadata", "payment_method_options", "payment_method_details", "data", "evidence", "price_details")
)
# Fields of the samples that today's API no longer has; the SDK does not know them either.
GONE = {
    "charge": {"destination", "dispute", "invoice", "order"},
    "invoice": {"subscription"},
}


def differences(body: dict[str, Any]) -> list[str]:
    """Everything in which an object differs from what Stripe would answer, as texts that name the place."""
    kind = body["object"]
    return [*_against_sample(body, SHAPES[kind], kind), *_against_sdk(body, _class_of(kind), kind)]


def _against_sample(body: Any, shape: Any, where: str) -> Iterator[str]:
    if body is None or shape == "null":
        return
    if isinstance(shape, dict):
        if not isinstance(body, dict):
            yield f"{where}: {_type(body)} instead of a hash"
        elif where.rpartition(".")[2] not in FREE:
            yield from _fields(body, shape, where)
    elif isinstance(shape, list):
        if not isinstance(body, list):
            yield f"{where}: {_type(body)} instead of a list"
            return
        for item in body if shape else []:
            yield from _against_sample(item, shape[0], f"{where}[]")
    elif _type(body) != shape and not (isinstance(body, dict) and shape == "string" and "id" in body):
        yield f"{where}: {_type(body)} instead of {shape}"


def _fields(body: dict[str, Any], shape: dict[str, Any], where: str) -> Iterator[str]:
    gone = GONE.get(str(body.get("object")), set())
    for name, inner in shape.items():
        if name in body:
            yield from _against_sample(body[name], inner, f"{where}.{name}")
        elif name not in gone and not _is_other_case(body, name, inner):
            yield f"{where}.{name}: missing"


def _is_other_case(body: dict[str, Any], name: str, shape: Any) -> bool:
    """Of the hashes that `type` chooses among, an object carries the chosen one only."""
    return "type" in body and isinstance(shape, dict) and body["type"] != name


def _type(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "list", dict: "hash"}
    return names[type(value)]


@functools.cache
def _class_of(kind: str) -> Any:
    found = get_object_class("V1", kind)
    assert found is not stripe.StripeObject, f"the SDK has no class for {kind}"
    return found


def _annotations(cls: Any) -> dict[str, Any]:
    bases = reversed(cls.__mro__)
    return {name: hint for base in bases for name, hint in vars(base).get("__annotations__", {}).items()}


def fields_of(kind: str) -> set[str]:
    """The fields that the SDK knows of a kind of object."""
    return set(_annotations(_class_of(kind)))


def _against_sdk(value: Any, hint: Any, where: str) -> Iterator[str]:
    """Nulls, words and types by the SDK's annotations. A class that is named only is another object."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union:
        yield from _against_union(value, arguments, where)
    elif origin is typing.Literal:
        if value not in arguments:
            yield f"{where}: {value!r} is not one of {', '.join(map(repr, arguments))}"
    elif isinstance(hint, type) and issubclass(hint, stripe.StripeObject):
        yield from _against_class(value, hint, where)
    elif origin is not None and isinstance(origin, type) and issubclass(origin, stripe.ListObject):
        yield from _against_list(value, arguments[0], where)
    elif origin is UntypedStripeObject:
        for name, item in value.items():
            yield from _against_sdk(item, arguments[0], f"{where}[{name}]")
    elif origin is list:
        if not isinstance(value, list):
            yield f"{where}: {value!r} is not a list"
            return
        for item in value:
            yield from _against_sdk(item, arguments[0], f"{where}[]")
    elif isinstance(hint, ForwardRef):
        named = getattr(stripe, hint.__forward_arg__, None)
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is not an object"
        elif named is not None and value.get("object") in SHAPES:
            yield from _against_sdk(value, _class_of(value["object"]), where)
    elif origin is None and isinstance(hint, type) and not _is_of(value, hint):
        yield f"{where}: {value!r} is no {hint.__name__}"


def _against_union(value: Any, choices: tuple[Any, ...], where: str) -> Iterator[str]:
    """`Literal[...] | str` means the literals: the `str` is for words that Stripe may add one day."""
    if value is None:
        if type(None) not in choices:
            yield f"{where}: null"
        return
    words = [
        one
        for choice in choices
        if typing.get_origin(choice) is typing.Literal
        for one in typing.get_args(choice)
    ]
    if words and isinstance(value, str):
        if value not in words:
            yield f"{where}: {value!r} is not one of {', '.join(map(repr, words))}"
        return
    fitting = [choice for choice in choices if choice is not (str if isinstance(value, dict) else type(None))]
    found = [list(_against_sdk(value, choice, where)) for choice in fitting if choice is not type(None)]
    if [] not in found:
        yield from min(found, key=len)


def _against_class(value: Any, hint: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: {value!r} is not a hash"
        return
    known = _annotations(hint)
    shape = SHAPES.get(str(value.get("object")), {})
    for name, inner in value.items():
        if name in known:
            yield from _against_sdk(inner, known[name], f"{where}.{name}")
        elif name not in shape and "object" in value:
            yield f"{where}.{name}: unknown"


def _against_list(value: Any, hint: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict) or value.get("object") != "list":
        yield f"{where}: not a list object"
        return
    for item in value["data"]:
        yield from _against_sdk(item, hint, f"{where}.data[]")


def _is_of(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    if hint in (int, float) and isinstance(value, bool):
        return False
    if hint.__name__ == "Decimal":
        return isinstance(value, str)
    return isinstance(value, (int, float) if hint is float else hint)
