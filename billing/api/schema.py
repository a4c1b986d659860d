"""Reading a billing body: every fault of it is collected, and a key that nobody reads is one (spec 7.1)."""

import datetime as dt
from typing import Any, Final

from billing.api.errors import ValidationFailed
from settld.core import clock
from settld.core.money import MAX_MINOR

ABSENT: Final = object()


class Reader:
    """A JSON object read key by key, strictly typed: "5", 5.0 and true are no integers.

    Faults are kept under the field's full name, such as lineItems[0].priceId; a getter then gives its
    default. `finish` raises ValidationFailed with all of them and with the keys that were not read.
    """

    def __init__(
        self, values: dict[str, Any], *, prefix: str = "", faults: dict[str, str] | None = None
    ) -> None:
        self.values = values
        self.prefix = prefix
        self.faults: dict[str, str] = {} if faults is None else faults
        self.read: set[str] = set()
        self.inner: list[Reader] = []

    def has(self, name: str) -> bool:
        """Tell whether the key was sent with a value other than null."""
        self.read.add(name)
        return self.values.get(name) is not None

    def fault(self, name: str, problem: str) -> None:
        """Note what is wrong with a field; the first fault of a field stays."""
        self.faults.setdefault(f"{self.prefix}{name}", problem)

    def text(self, name: str, *, most: int, least: int = 1, required: bool = False, default: str = "") -> str:
        """Read a text, trimmed; absent, null and blank are the default unless required."""
        self.read.add(name)
        value = self.values.get(name)
        if value is None:
            if required:
                self.fault(name, f"{name} is required.")
            return default
        if not isinstance(value, str):
            self.fault(name, f"{name} must be a string.")
            return default
        value = value.strip()
        if not value and not required:
            return default
        if not least <= len(value) <= most:
            self.fault(name, f"{name} must have {least} to {most} characters.")
            return default
        return value

    def path(self, name: str) -> str:
        """Read a text that must be there, for `paths.require` to judge; only spaces are trimmed."""
        self.read.add(name)
        value = self.values.get(name)
        if value is None:
            self.fault(name, f"{name} is required.")
        elif not isinstance(value, str):
            self.fault(name, f"{name} must be a string.")
        return value.strip(" ") if isinstance(value, str) else ""

    def integer(
        self,
        name: str,
        *,
        least: int = -MAX_MINOR,
        most: int = MAX_MINOR,
        required: bool = False,
        default: int = 0,
    ) -> int:
        """Read a JSON integer within bounds; absent and null are the default unless required."""
        self.read.add(name)
        value = self.values.get(name)
        if value is None:
            if required:
                self.fault(name, f"{name} is required.")
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            self.fault(name, f"{name} must be an integer.")
            return default
        if not least <= value <= most:
            self.fault(name, f"{name} must be from {least} to {most}.")
            return default
        return value

    def boolean(self, name: str, *, default: bool) -> bool:
        """Read a JSON boolean; absent and null are the default."""
        self.read.add(name)
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.fault(name, f"{name} must be a boolean.")
            return default
        return value

    def instant(self, name: str) -> dt.datetime | None:
        """Read an ISO 8601 date-time with an offset; None when absent."""
        text = self.text(name, most=64)
        if not text:
            return None
        try:
            return clock.parse_iso(text)
        except ValueError:
            self.fault(name, f"{name} must be an ISO 8601 date-time with an offset.")
            return None

    def choice(
        self, name: str, choices: tuple[str, ...], *, required: bool = False, default: str = ""
    ) -> str:
        """Read one of a few words, exactly spelled."""
        before = len(self.faults)
        value = self.text(name, most=200, required=required, default=default)
        if len(self.faults) == before and value != default and value not in choices:
            self.fault(name, f"{name} must be one of {', '.join(choices)}.")
            return default
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """Read a JSON object as it is; absent and null are empty."""
        self.read.add(name)
        value = self.values.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.fault(name, f"{name} must be an object.")
            return {}
        return value

    def raw(self, name: str) -> Any:
        """Give any JSON value; ABSENT when the key was not sent."""
        self.read.add(name)
        return self.values.get(name, ABSENT)

    def object(self, name: str, *, required: bool = False) -> "Reader | None":
        """Open an inner object, read and finished with this one; None when absent or faulty."""
        self.read.add(name)
        value = self.values.get(name)
        if value is None:
            if required:
                self.fault(name, f"{name} is required.")
            return None
        if not isinstance(value, dict):
            self.fault(name, f"{name} must be an object.")
            return None
        return self._open(value, f"{self.prefix}{name}.")

    def objects(self, name: str, *, least: int = 0, most: int = 100) -> "list[Reader]":
        """Open an array of objects; absent and null are an empty one."""
        self.read.add(name)
        value = self.values.get(name)
        if value is None:
            value = []
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            self.fault(name, f"{name} must be an array of objects.")
            return []
        if not least <= len(value) <= most:
            self.fault(name, f"{name} must have {least} to {most} entries.")
            return []
        return [self._open(entry, f"{self.prefix}{name}[{at}].") for at, entry in enumerate(value)]

    def _open(self, values: dict[str, Any], prefix: str) -> "Reader":
        reader = Reader(values, prefix=prefix, faults=self.faults)
        self.inner.append(reader)
        return reader

    def finish(self) -> None:
        """Raise ValidationFailed when anything was wrong, or was sent that nobody asked for."""
        self._name_strangers()
        if self.faults:
            raise ValidationFailed(self.faults)

    def _name_strangers(self) -> None:
        for name in self.values:
            if name not in self.read:
                self.fault(name[:100], "Unknown field.")
        for reader in self.inner:
            reader._name_strangers()
