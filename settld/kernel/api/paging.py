"""Lists of the kernel (2.11): a limit or offset that is no number takes its default, a large one is cut."""

from typing import Final

from django.http import HttpRequest
from drf_spectacular.utils import OpenApiParameter

from settld.api import openapi
from settld.api.paging import MAX_OFFSET, Page

DEFAULT: Final = 50
MOST: Final = 1000


def read(request: HttpRequest, *, default: int = DEFAULT, most: int = MOST) -> Page:
    """Read limit and offset from the query, without ever refusing."""
    return Page(
        limit=_number(request, "limit", default=default, least=1, most=most),
        offset=_number(request, "offset", default=0, least=0, most=MAX_OFFSET),
    )


def parameters(*, default: int = DEFAULT, most: int = MOST) -> tuple[OpenApiParameter, ...]:
    """Describe the two query parameters."""
    return (
        openapi.query(
            "limit",
            {"type": "integer", "default": default},
            f"rows wanted, at most {most}; what is no such number takes the default",
        ),
        openapi.query("offset", {"type": "integer", "default": 0}, "rows to skip"),
    )


def _number(request: HttpRequest, name: str, *, default: int, least: int, most: int) -> int:
    text = request.GET.get(name, "").strip()
    if not (text.isascii() and text.isdigit()):
        return default
    number = int(text) if len(text) <= 20 else most
    return default if number < least else min(number, most)
