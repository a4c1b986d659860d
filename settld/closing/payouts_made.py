"""The question that closing asks of the rooms that pay: what has been paid out for a period already?

An earlier generation's payout decides what a later statement may still pay (finance spec 5.3).
"""

from typing import Protocol


class PayoutsMade(Protocol):
    """Sums up the live payouts of a party, currency and period in gross cents; None when there is none.

    Live is what is neither failed nor cancelled. Gross is what statements say: the amount that leaves, plus
    what was withheld against a debt; a payout that went into the debt entirely counts with its whole gross.
    A reversed payout is live: the spec names failed and cancelled only, its references stay given to it, its
    money is back in the wallet and its debt stands at the money rails. A later generation must not pay it
    a second time.
    """

    def __call__(self, *, tenant_id: str, party_id: str, currency: str, period: str) -> int | None: ...


def _none_yet(*, tenant_id: str, party_id: str, currency: str, period: str) -> int | None:
    return None


_registered: PayoutsMade = _none_yet


def register(payouts_made: PayoutsMade) -> None:
    """Take the answer from a room above, when the apps are ready."""
    global _registered
    _registered = payouts_made


def live_payout_cents(*, tenant_id: str, party_id: str, currency: str, period: str) -> int | None:
    """Give the gross cents of the live payouts of a party, currency and period; None when there is none."""
    return _registered(tenant_id=tenant_id, party_id=party_id, currency=currency, period=period)
