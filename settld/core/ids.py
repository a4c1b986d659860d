"""Identifiers: time-ordered row keys and request ids."""

import os
import re
import time
import uuid

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def uuid7() -> uuid.UUID:
    """Make a version 7 UUID: rows made later sort later, so indexes grow at one end."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    return uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def request_id(offered: str | None = None) -> str:
    """Keep a caller's request id when its form is legal, else make one (P2)."""
    if offered and _REQUEST_ID.fullmatch(offered):
        return offered
    return f"req_{uuid.uuid4()}"
