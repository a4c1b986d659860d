"""Which kinds of jobs there are and who carries them out; rooms above register in AppConfig.ready()."""

import datetime as dt
from dataclasses import dataclass
from typing import Protocol

from settld.outbox.models import OutboxJob


class GiveUp(Exception):
    """Raised by a handler: trying again is no use, a person must look."""


class Handler(Protocol):
    """Carries out one job, safely twice; runs in the tenant's scope with no transaction open.

    It returns when the effect is there, and raises when it is not.
    """

    def __call__(self, job: OutboxJob) -> None: ...


@dataclass(frozen=True)
class Kind:
    """How jobs of one kind are worked off."""

    name: str
    handler: Handler
    lease: dt.timedelta = dt.timedelta(seconds=120)
    most_attempts: int = 12


_kinds: dict[str, Kind] = {}


def register_kind(
    name: str,
    handler: Handler,
    *,
    lease: dt.timedelta = dt.timedelta(seconds=120),
    most_attempts: int = 12,
) -> Kind:
    """Name the handler of a kind. `lease` is how long one job may take before another worker may have it."""
    if name in _kinds and _kinds[name].handler != handler:
        raise ValueError(f"outbox kind {name} has a handler already")
    _kinds[name] = Kind(name=name, handler=handler, lease=lease, most_attempts=most_attempts)
    return _kinds[name]


def known() -> tuple[str, ...]:
    """Name the kinds that this process can carry out."""
    return tuple(sorted(_kinds))


def get(name: str) -> Kind:
    """Give a kind; KeyError when nobody registered it."""
    return _kinds[name]
