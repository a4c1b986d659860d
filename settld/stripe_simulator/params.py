"""Typed reading of a decoded form, refusing what Stripe refuses."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from settld.stripe_simulator.errors import StripeError
from settld.stripe_simulator.forms import Form
from settld.stripe_simulator.wire import Json

INTEGER = re.compile(r"-?[0-9]{1,18}")
CREATED_BOUNDS = ("gt", "gte", "lt", "lte")


@contextmanager
def within(name: str) -> Iterator[None]:
    """While a nested hash is read: errors name its parameters as part of it, `line_items[0][price]`."""
    try:
        yield
    except StripeError as error:
        if error.param:
            head, bracket, rest = error.param.partition("[")
            error.param = f"{name}[{head}]{bracket}{rest}"
        raise


class Params:
    """The parameters of one call. Unknown names are refused at once; `expand` is always allowed."""

    def __init__(self, form: Form, *, allowed: Collection[str]) -> None:
        self.form = form
        unknown = [name for name in form if name not in allowed and name != "expand"]
        if unknown:
            plural = "s" if len(unknown) > 1 else ""
            message = f"Received unknown parameter{plural}: {', '.join(unknown)}"
            raise StripeError(message, code="parameter_unknown", param=unknown[0])

    def has(self, name: str) -> bool:
        return name in self.form

    def text(self, name: str, *, max_length: int = 5000) -> str | None:
        """The text, or None when absent. An empty text unsets nothing here and is refused."""
        value = self.form.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise StripeError(f"Invalid string: {name}", param=name)
        if value == "":
            message = f"You passed an empty string for '{name}'. Leave the parameter out or give it a value."
            raise StripeError(message, code="parameter_invalid_empty", param=name)
        if len(value) > max_length:
            message = f"Invalid string: must be at most {max_length} characters"
            raise StripeError(message, code="parameter_invalid_string", param=name)
        return value

    def required_text(self, name: str) -> str:
        value = self.text(name)
        return self._missing(name) if value is None else value

    def clearable_text(self, name: str, current: Any) -> Any:
        """A text that an empty value unsets; the current one when absent."""
        if not self.has(name):
            return current
        return None if self.form[name] == "" else self.text(name)

    def integer(self, name: str, *, minimum: int | None = None, maximum: int | None = None) -> int | None:
        text = self.text(name)
        if text is None:
            return None
        code = "parameter_invalid_integer"
        if not INTEGER.fullmatch(text):
            raise StripeError(f"Invalid integer: {text}", code=code, param=name)
        value = int(text)
        if minimum is not None and value < minimum:
            raise StripeError(
                f"This value must be greater than or equal to {minimum}.", code=code, param=name
            )
        if maximum is not None and value > maximum:
            raise StripeError(f"This value must be less than or equal to {maximum}.", code=code, param=name)
        return value

    def boolean(self, name: str) -> bool | None:
        text = self.text(name)
        if text is not None and text not in ("true", "false"):
            raise StripeError(f"Invalid boolean: {text}", param=name)
        return None if text is None else text == "true"

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        text = self.text(name)
        if text is not None and text not in choices:
            raise StripeError(f"Invalid {name}: must be one of {', '.join(choices)}", param=name)
        return text

    def strings(self, name: str) -> list[str]:
        """An array of texts, in the order of its indexes."""
        value = self.form.get(name, {})
        if not isinstance(value, dict) or not all(
            k.isdigit() and isinstance(v, str) for k, v in value.items()
        ):
            raise StripeError("Invalid array", param=name)
        return [value[index] for index in sorted(value, key=int)]

    def hashes(self, name: str) -> list[Json]:
        """An array of nested hashes, in the order of its indexes; empty when absent."""
        value = self.form.get(name, {})
        if not isinstance(value, dict) or not all(
            k.isdigit() and isinstance(v, dict) for k, v in value.items()
        ):
            raise StripeError("Invalid array", param=name)
        return [value[index] for index in sorted(value, key=int)]

    def mapping(self, name: str) -> Json | None:
        """A nested hash as sent, or None when absent."""
        value = self.form.get(name)
        if value is not None and not isinstance(value, dict):
            raise StripeError("Invalid hash", param=name)
        return value

    def metadata(self, current: dict[str, str]) -> dict[str, str]:
        """The metadata after this call: given keys are set, empty values unset, an empty hash unsets all."""
        if self.form.get("metadata") == "":
            return {}
        result = dict(current)
        for key, value in (self.mapping("metadata") or {}).items():
            param = f"metadata[{key}]"
            if not isinstance(value, str):
                raise StripeError("Metadata values must be strings", param=param)
            if len(key) > 40 or len(value) > 500:
                message = "Metadata keys may have 40 characters, values 500"
                raise StripeError(message, code="parameter_invalid_string", param=param)
            result.pop(key, None)
            if value:
                result[key] = value
        if len(result) > 50:
            raise StripeError("Metadata may have at most 50 keys", param="metadata")
        return result

    def created(self) -> dict[str, int]:
        """Bounds on `created`: `created=1` or `created[gte]=1`."""
        value = self.form.get("created")
        if isinstance(value, dict):
            bounds = Params(value, allowed=CREATED_BOUNDS)
            found = {bound: bounds.integer(bound) for bound in CREATED_BOUNDS}
            return {bound: at for bound, at in found.items() if at is not None}
        exact = self.integer("created")
        return {} if exact is None else {"gte": exact, "lte": exact}

    def _missing(self, name: str) -> str:
        raise StripeError(f"Missing required param: {name}.", code="parameter_missing", param=name)
