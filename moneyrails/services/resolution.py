"""Finding out what a doubtful attempt did: ask the provider before asking it again (spec 3.4 step 5)."""

import datetime as dt
from dataclasses import dataclass

from moneyrails.models import DispatchAttempt
from moneyrails.rails.base import Rail, Transfer
from moneyrails.services.dispatch import Dispatch
from settld.core import failpoints

REPLAY_WINDOW = dt.timedelta(hours=23)


@dataclass(frozen=True)
class Sent:
    """The provider has exactly the transfer that was ordered."""

    transfer: Transfer

    @property
    def found(self) -> tuple[Transfer, ...]:
        """Give what the provider listed."""
        return (self.transfer,)


@dataclass(frozen=True)
class SendAgain:
    """The provider has none, and still remembers our key: the same key may be sent once more."""

    found: tuple[Transfer, ...] = ()


@dataclass(frozen=True)
class Indeterminate:
    """Only a person can tell."""

    reason: str
    observed_ref: str = ""
    found: tuple[Transfer, ...] = ()


def replay_deadline(attempt: DispatchAttempt) -> dt.datetime:
    """Tell until when the provider surely remembers an attempt's key; at that instant it is over."""
    return (attempt.first_sent_at or attempt.created_at) + REPLAY_WINDOW


Finding = Sent | SendAgain | Indeterminate


def find_out(dispatch: Dispatch, rail: Rail, *, now: dt.datetime) -> Finding:
    """Ask the provider what it has for the operation; raises ProviderFailure when it does not say.

    Transfers that a person has declared to be none of ours, when settling an earlier attempt, are left out.
    """
    failpoints.hit("doubt.before_list")
    listed = rail.find_transfers(dispatch.order)
    found = [transfer for transfer in listed if transfer.transfer_id not in dispatch.disowned]
    failpoints.hit("doubt.after_list")
    return judge(dispatch, found, now=now)


def judge(dispatch: Dispatch, found: list[Transfer], *, now: dt.datetime) -> Finding:
    """Decide from what the provider listed; a wrong or second transfer is never adopted."""
    if len(found) > 1:
        ids = ", ".join(sorted(transfer.transfer_id for transfer in found))
        return Indeterminate(f"the provider has several transfers: {ids}", found[0].transfer_id, tuple(found))
    if found:
        if found[0].matches(dispatch.order):
            return Sent(found[0])
        return Indeterminate(
            "the provider's transfer differs from the order", found[0].transfer_id, tuple(found)
        )
    if now < replay_deadline(dispatch.attempt):
        return SendAgain()
    return Indeterminate("the provider has no transfer, and no longer remembers our key for certain")
