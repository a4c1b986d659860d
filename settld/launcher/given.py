"""What the reader gave: the process environment, and the checkout's .env file beneath it."""

import os
import re
from pathlib import Path

_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")


def given_environment(checkout: Path) -> dict[str, str]:
    """Merge both; the process environment wins. Blank PORT and SETTLD_HOME count as absent."""
    merged = read_dotenv(checkout / ".env") | dict(os.environ)
    # Make's own variables would turn a child's `make` into a part of ours.
    return {name: value for name, value in merged.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}


def read_dotenv(path: Path) -> dict[str, str]:
    """Read NAME=value lines; quotes around a value are taken off, comments are lines of their own."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        if (match := _ASSIGNMENT.match(line)) is not None:
            name, value = match.groups()
            quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
            found[name] = value[1:-1] if quoted else value
    return found
