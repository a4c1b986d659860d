"""Lists (P6): limit 1 to 1000, default 200; offset from 0."""

from dataclasses import dataclass

from django.http import HttpRequest

from settld.core.errors import Invalid

MAX_OFFSET = 2**31 - 1


@dataclass(frozen=True)
class Page:
    """One window of a list."""

    limit: int
    offset: int

    @property
    def window(self) -> slice:
        """Cut a queryset."""
        return slice(self.offset, self.offset + self.limit)


def read(request: HttpRequest, *, default: int = 200, most: int = 1000) -> Page:
    """Read limit and offset from the query; Invalid when out of bounds."""
    return Page(
        limit=_number(request, "limit", default=default, least=1, most=most),
        offset=_number(request, "offset", default=0, least=0, most=MAX_OFFSET),
    )


def _number(request: HttpRequest, name: str, *, default: int, least: int, most: int) -> int:
    text = request.GET.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and least <= int(text) <= most):
        raise Invalid(f"{name} must be an integer from {least} to {most}")
    return int(text)
