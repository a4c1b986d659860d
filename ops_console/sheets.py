"""Writing rows as CSV for people's spreadsheets."""

from typing import Any


class Echo:
    """Hands each written line back instead of keeping it."""

    def write(self, line: str) -> str:
        """Give the line to who asked for it."""
        return line


def cell(value: Any) -> Any:
    """Keep a spreadsheet from running a text that begins like a formula; nothing is an empty cell."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return "" if value is None else value
