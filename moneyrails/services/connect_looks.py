"""Looking at connected accounts at the provider: several at once, each look with its own moments.

The moments are the database's, told from one reading of its clock and our steady one, so that looks of
several processes can be put in order. A look is said to begin no later, and to end no earlier, than it did.
"""

import contextvars
import datetime as dt
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.conf import settings

from moneyrails.rails import stripe_connect
from moneyrails.rails.stripe_connect import Snapshot
from settld.core import clock, transactions
from settld.stripe_gateway.outcomes import (
    Category,
    ProviderErrorObject,
    ProviderFailure,
    ProviderInDoubt,
    ProviderRejected,
)

AT_ONCE = 8
Ask = Callable[[str], Snapshot]


@dataclass(frozen=True)
class Look:
    """What one look at an account gave: a snapshot, or the error that came instead."""

    account_id: str
    began_at: dt.datetime
    ended_at: dt.datetime
    snapshot: Snapshot | None = None
    error: ProviderErrorObject | None = None
    is_clear_no: bool = False


class Stopwatch:
    """The database's time, read once and carried on by our steady clock."""

    def __init__(self) -> None:
        self._before = time.monotonic()
        self._base = clock.db_now()
        self._after = time.monotonic()

    def at_most(self) -> dt.datetime:
        """Give an instant that is not in the future."""
        return self._base + dt.timedelta(seconds=time.monotonic() - self._after)

    def at_least(self) -> dt.datetime:
        """Give an instant that is not in the past."""
        return self._base + dt.timedelta(seconds=time.monotonic() - self._before)


def look_at(account_ids: Sequence[str], *, budget_seconds: float, ask: Ask | None = None) -> dict[str, Look]:
    """Ask the provider about accounts; whoever was not asked before the budget ended is left out.

    No transaction is open meanwhile. A failure is a look with an error; the gateway has tried it several
    times by then.
    """
    transactions.require_no_transaction()
    watch = Stopwatch()
    stop_at = time.monotonic() + budget_seconds
    ask = ask or stripe_connect.retrieve

    def look(account_id: str) -> Look | None:
        return _look(account_id, ask, watch) if time.monotonic() < stop_at else None

    if len(account_ids) < 2:
        looks = [look(account_id) for account_id in account_ids]
    else:
        with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(account_ids))) as pool:
            asked = [
                pool.submit(contextvars.copy_context().run, look, account_id) for account_id in account_ids
            ]
            looks = [future.result() for future in asked]
    return {found.account_id: found for found in looks if found is not None}


def _look(account_id: str, ask: Ask, watch: Stopwatch) -> Look:
    began_at = watch.at_most()
    try:
        found = ask(account_id)
        if found.account_id != account_id:
            raise ProviderInDoubt(_of_another(account_id))
    except ProviderFailure as failure:
        return Look(
            account_id, began_at, watch.at_least(), error=failure.error,
            is_clear_no=isinstance(failure, ProviderRejected),
        )  # fmt: skip
    return Look(account_id, began_at, watch.at_least(), snapshot=found)


def _of_another(account_id: str) -> ProviderErrorObject:
    return _error(account_id, "Stripe answered with another account", "invalid_response", status=200)


def not_asked(account_id: str, message: str) -> ProviderErrorObject:
    """Make the error of an account that the provider was never asked about."""
    return _error(account_id, message, "unknown", status=None)


def _error(account_id: str, message: str, category: Category, *, status: int | None) -> ProviderErrorObject:
    return ProviderErrorObject(
        message=message,
        provider="stripe",
        category=category,
        retryable=status is None,
        httpStatus=status,
        providerCode=None,
        providerType=None,
        providerRequestId=None,
        endpoint=f"/v1/accounts/{account_id}",
        attempt=0 if status is None else 1,
        maxAttempts=settings.STRIPE.retry_max_attempts,
        circuitOpenUntil=None,
    )
