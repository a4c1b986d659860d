"""Which function of ours carries out a capability that a plan may limit.

Rooms below billing mark their call sites, too, so the register lives down here and knows no limit. A system
check of billing compares it with the settings.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
call_sites: Final[dict[str, set[str]]] = {}


def capability(name: str) -> Callable[[F], F]:
    """Mark the function that carries out a capability, such as payouts.submit; it runs as before."""

    def mark(function: F) -> F:
        call_sites.setdefault(name, set()).add(f"{function.__module__}.{function.__qualname__}")
        return function

    return mark
