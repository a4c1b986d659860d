"""What crosses the socket: a parsed request, and the three things that may become of it."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request. Header names are lower case; `path` is percent-decoded and without the query."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Send this."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Hang:
    """Send nothing; close the connection after this long, or sooner when the client leaves."""

    seconds: float
    generation: int


@dataclass(frozen=True)
class Reset:
    """Send nothing; break the connection with a TCP reset."""


Outcome = Answer | Hang | Reset
