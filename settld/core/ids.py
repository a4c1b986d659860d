"""Identifiers: time-ordered row keys and request ids."""

import os
import re
import threading
import time
import uuid

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


_lock = threading.Lock()
_last_stamp = 0


def uuid7() -> uuid.UUID:
    """Make a version 7 UUID: what this process makes later sorts later, so indexes grow at one end.

    The twelve bits after the milliseconds hold their fraction (RFC 9562, 6.2 method 3), raised by one
    where the clock has not moved on.
    """
    global _last_stamp
    stamp = time.time_ns() * 4096 // 1_000_000
    with _lock:
        stamp = _last_stamp = max(stamp, _last_stamp + 1)
    random_bits = int.from_bytes(os.urandom(8), "big") >> 2
    return uuid.UUID(int=(stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0x2 << 62 | random_bits)


def request_id(offered: str | None = None) -> str:
    """Keep a caller's request id when its form is legal, else make one (P2)."""
    if offered and _REQUEST_ID.fullmatch(offered):
        return offered
    return f"req_{uuid.uuid4()}"
