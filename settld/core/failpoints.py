"""Named places where a crash test may kill the process.

`SETTLD_FAILPOINTS="submit.after_t1=kill"` kills on the first pass, `=kill@3` on the third; several are
separated by commas. Production ignores the variable. With nothing set a point costs one dict lookup.

A test in the same process may look over our shoulder instead (`watched`): its visitor hears each name, and
ends the work by raising what no code of ours catches.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

Visitor = Callable[[str], None]


def _read(text: str) -> dict[str, int]:
    points = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, action = entry.partition("=")
        verb, _, count = action.partition("@")
        if verb != "kill" or (count and not count.isdigit()):
            raise ValueError(f"SETTLD_FAILPOINTS: {entry!r} must look like name=kill or name=kill@3")
        points[name] = int(count or 1)
    return points


_armed: Final[dict[str, int]] = (
    {} if os.environ.get("SETTLD_ENV") == "production" else _read(os.environ.get("SETTLD_FAILPOINTS", ""))
)


_visitors: Final[list[Visitor]] = []


@contextmanager
def watched(visitor: Visitor) -> Iterator[None]:
    """Have a visitor called at each point that this process passes; never in production."""
    if os.environ.get("SETTLD_ENV") == "production":
        raise RuntimeError("nobody watches failpoints in production")
    _visitors.append(visitor)
    try:
        yield
    finally:
        _visitors.remove(visitor)


def hit(name: str) -> None:
    """Pass a point; if a test armed it and this is the pass it counts to, the process dies here."""
    for visitor in _visitors:
        visitor(name)
    left = _armed.get(name)
    if left is None:
        return
    if left <= 1:
        os.kill(os.getpid(), signal.SIGKILL)
    _armed[name] = left - 1
