"""Named places where a crash test may kill the process.

`SETTLD_FAILPOINTS="submit.after_t1=kill"` kills on the first pass, `=kill@3` on the third; several are
separated by commas. Production ignores the variable. With nothing set a point costs one dict lookup.
"""

import os
import signal
from typing import Final


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


def hit(name: str) -> None:
    """Pass a point; if a test armed it and this is the pass it counts to, the process dies here."""
    left = _armed.get(name)
    if left is None:
        return
    if left <= 1:
        os.kill(os.getpid(), signal.SIGKILL)
    _armed[name] = left - 1
