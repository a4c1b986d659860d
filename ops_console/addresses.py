"""Filters in an address: read leniently, with what could not be read said."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Final

from settld.core import clock

TEXT_MOST: Final = 500


class Address:
    """An address's parameters, read one by one; `faults` collects what was left out and why."""

    def __init__(self, parameters: Mapping[str, str], *, most: int = TEXT_MOST) -> None:
        self.parameters = parameters
        self.most = most
        self.faults: list[str] = []

    def text(self, name: str) -> str:
        """Read a text, trimmed and cut to `most` characters."""
        return self.parameters.get(name, "").replace("\x00", "").strip()[: self.most]

    def one_of(self, name: str, allowed: Collection[str], what: str) -> str:
        """Read one of a few words; blank when it is none of them."""
        value = self.text(name)
        if value and value not in allowed:
            self.faults.append(f"“{value}” is no {what}; that filter is left out.")
            return ""
        return value

    def period(self, name: str) -> str:
        """Read a month; blank when it is none."""
        value = self.text(name)
        if value and not clock.is_period(value):
            self.faults.append(f"“{value}” is no period; write YYYY-MM.")
            return ""
        return value

    def day(self, name: str) -> str:
        """Read a date; blank when it is none."""
        value = self.text(name)
        try:
            return dt.date.fromisoformat(value).isoformat() if value else ""
        except ValueError:
            self.faults.append(f"“{value}” is no date; write YYYY-MM-DD.")
            return ""
