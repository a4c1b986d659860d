"""Where this room asks whether a tenant's plan covers one more payout; billing registers the answer.

The limit is asked before a payout is sent and told afterwards what became of it: the use is certain once the
transfer is recorded, and given back when nothing can have left. In between it stays reserved, and whoever
answers gives it back after a while. Nothing of this can undo or fail a payout that has left.
"""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, Protocol

import structlog
from django.db import DatabaseError

from settld.stripe_gateway.outcomes import ProviderNotExecuted, ProviderRejected

log = structlog.get_logger(__name__)


class Ticket(Protocol):
    """One payout's use of the limit, counted and not certain yet."""

    def confirm(self, *, now: dt.datetime) -> None:
        """Make the use certain: the payout has left."""

    def release(self) -> None:
        """Give the use back: nothing has left."""


class PayoutLimit(Protocol):
    """Says whether a tenant may send one more payout; the same operation counts once, however often asked."""

    def reserve(self, *, tenant_id: str, operation_id: str, now: dt.datetime) -> Ticket | None:
        """Count a payout that is about to be sent, or refuse it; None when nothing limits the tenant."""

    def count(self, *, tenant_id: str, operation_id: str, now: dt.datetime) -> None:
        """Count a payout that has left, unless it is counted already."""


class Unlimited:
    """The answer while nobody has registered one."""

    def reserve(self, *, tenant_id: str, operation_id: str, now: dt.datetime) -> Ticket | None:
        return None

    def count(self, *, tenant_id: str, operation_id: str, now: dt.datetime) -> None:
        """Count nothing."""


_limits: Final[list[PayoutLimit]] = [Unlimited()]


def register(limit: PayoutLimit) -> None:
    """Name who answers; the latest registration counts."""
    _limits[:] = [limit]


class Use:
    """What a submit tells about its payout while it goes on."""

    def __init__(self) -> None:
        self.may_have_left = False
        self.was_recorded = False
        self.had_doubt = False

    def goes_out(self, *, had_doubt: bool) -> None:
        """Say that from here on the provider may have heard of it; `had_doubt`: also of an earlier try."""
        self.may_have_left, self.had_doubt = True, had_doubt

    def ended(self, *, was_recorded: bool) -> None:
        """Say whether this submit recorded the transfer."""
        self.was_recorded = was_recorded

    def certainly_stayed(self, error: Exception) -> bool:
        """Tell whether a submit that ended in an error sent nothing."""
        if not self.may_have_left:
            return True
        return not self.had_doubt and isinstance(error.__cause__, ProviderRejected | ProviderNotExecuted)


@contextmanager
def counted(*, tenant_id: str, operation_id: str, now: dt.datetime) -> Iterator[Use]:
    """Count one submit; what the limit raises refuses it before anything was done."""
    ticket = _limits[0].reserve(tenant_id=tenant_id, operation_id=operation_id, now=now)
    use = Use()
    try:
        yield use
    except Exception as error:
        if ticket is not None and use.certainly_stayed(error):
            with _never_in_the_way(operation_id):
                ticket.release()
        raise
    if ticket is not None:
        with _never_in_the_way(operation_id):
            if use.was_recorded:
                ticket.confirm(now=now)
            else:
                ticket.release()


def note_left(*, tenant_id: str, operation_id: str, now: dt.datetime) -> None:
    """Count a payout that was found or sent while its outcome was in doubt."""
    with _never_in_the_way(operation_id):
        _limits[0].count(tenant_id=tenant_id, operation_id=operation_id, now=now)


@contextmanager
def _never_in_the_way(operation_id: str) -> Iterator[None]:
    with suppress(DatabaseError):
        yield
        return
    log.warning("payout_use_not_settled", operation_id=operation_id)
