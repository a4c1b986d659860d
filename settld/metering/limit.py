"""The question that metering asks of plans: how many verified runs may this tenant have in a month?"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class HardLimit:
    """A tenant's limit in force, one or more, and the plan that sets it."""

    plan: str
    most: int


class VerifiedRunLimit(Protocol):
    """Gives the tenant's limit in force, or None where nothing stops another run.

    Called inside the transaction of a run, once before the counter's row is locked and, where there is a
    limit, again under that lock.
    """

    def __call__(self, *, tenant_id: str) -> HardLimit | None: ...


def _nothing_stops(*, tenant_id: str) -> HardLimit | None:
    return None


_registered: VerifiedRunLimit = _nothing_stops


def register(limit: VerifiedRunLimit) -> None:
    """Take the answer from a room above, when the apps are ready."""
    global _registered
    _registered = limit


def in_force(*, tenant_id: str) -> HardLimit | None:
    """Give the tenant's limit, or None."""
    return _registered(tenant_id=tenant_id)
