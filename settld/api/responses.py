"""JSON answers, rendered once to the bytes that a replay must repeat."""

import json
from typing import Any

from django.http import HttpResponse


def to_bytes(data: Any) -> bytes:
    """Write JSON for the wire: compact, UTF-8, keys in the order given."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


class Json(HttpResponse):
    """An answer in JSON."""

    def __init__(self, data: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        super().__init__(
            data if isinstance(data, bytes) else to_bytes(data),
            status=status,
            content_type="application/json; charset=utf-8",
            headers=headers,
        )
        self.data = data
