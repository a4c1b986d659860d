"""Reading query parameters: strictly, every fault named (spec 7.1)."""

from typing import Final

from django.http import HttpRequest

from billing.api.errors import ValidationFailed

DEEPEST_ROW: Final = 10_000


class Query:
    """The parameters of a request, read one by one; `finish` raises ValidationFailed for all faults."""

    def __init__(self, request: HttpRequest) -> None:
        self.values = request.GET
        self.faults: dict[str, str] = {}

    def text(self, name: str, *, most: int = 191) -> str:
        """Read a trimmed text; empty when it was not sent."""
        value = self.values.get(name, "").strip()
        if len(value) > most:
            self.faults[name] = f"{name} must have at most {most} characters."
            return ""
        return value

    def integer(self, name: str, *, least: int, most: int, default: int) -> int:
        """Read a whole number in ASCII digits, within bounds."""
        value = self.values.get(name, "").strip()
        if not value:
            return default
        is_number = value.isascii() and value.isdigit() and len(value) <= 19
        if not is_number or not least <= int(value) <= most:
            self.faults[name] = f"{name} must be an integer from {least} to {most}."
            return default
        return int(value)

    def identifier(self, name: str) -> int | None:
        """Read a row's id; None when it was not sent."""
        value = self.integer(name, least=1, most=2**63 - 1, default=0)
        return value or None

    def boolean(self, name: str, *, default: bool) -> bool:
        """Read true or false."""
        value = self.values.get(name, "").strip().lower()
        if value not in ("", "true", "false"):
            self.faults[name] = f"{name} must be true or false."
        return default if value not in ("true", "false") else value == "true"

    def page(self, *, default_size: int) -> tuple[int, int]:
        """Read page and pageSize; together they reach no deeper than 10000 rows."""
        page = self.integer("page", least=1, most=DEEPEST_ROW, default=1)
        size = self.integer("pageSize", least=1, most=100, default=default_size)
        if not self.faults and page * size > DEEPEST_ROW:
            self.faults["page"] = f"page times pageSize must be at most {DEEPEST_ROW}; use a cursor instead."
        return page, size

    def finish(self) -> None:
        """Raise ValidationFailed when anything was wrong."""
        if self.faults:
            raise ValidationFailed(self.faults)
