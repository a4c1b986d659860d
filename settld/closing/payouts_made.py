"""The question that closing asks of the rooms that pay: what has been paid out for a period already?

An earlier generation's payout decides what a later statement may still pay (finance spec 5.3).
"""

from collections.abc import Mapping
from typing import Protocol

Payee = tuple[str, str]  # party, currency


class PayoutsMade(Protocol):
    """Sums up a period's live payouts in gross cents, by party and currency; who has none is not named.

    Live is what is neither failed nor cancelled. Gross is what statements say: the amount that leaves, plus
    what was withheld against a debt; a payout that went into the debt entirely counts with its whole gross.
    A reversed payout is live: the spec names failed and cancelled only, its references stay given to it, its
    money is back in the wallet and its debt stands at the money rails. A later generation must not pay it
    a second time.
    """

    def __call__(self, *, tenant_id: str, period: str) -> Mapping[Payee, int]: ...


def _none_yet(*, tenant_id: str, period: str) -> Mapping[Payee, int]:
    return {}


_registered: PayoutsMade = _none_yet


def register(payouts_made: PayoutsMade) -> None:
    """Take the answer from a room above, when the apps are ready."""
    global _registered
    _registered = payouts_made


def live_payouts(*, tenant_id: str, period: str) -> Mapping[Payee, int]:
    """Give the gross cents of a period's live payouts, by party and currency."""
    return _registered(tenant_id=tenant_id, period=period)
