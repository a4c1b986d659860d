"""What a party is paid for a period, and what is carried to the next (finance spec 5.3)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pay:
    """What a party earned in the period, what comes from earlier ones, what is paid now and what stays."""

    period_cents: int
    carry_in_cents: int
    payout_cents: int
    carry_out_cents: int


def pay_of(*, period_cents: int, carry_in_cents: int, live_payout_cents: int | None) -> Pay:
    """Work out a party's pay; `live_payout_cents` is what an earlier generation has paid for the period.

    Nothing paid yet: the gross is due, and a negative gross is carried on. Paid already: nothing is due,
    and what was paid too much or too little is carried on.
    """
    gross = period_cents + carry_in_cents
    if live_payout_cents is None:
        return Pay(period_cents, carry_in_cents, gross, min(0, gross))
    return Pay(period_cents, carry_in_cents, 0, gross - live_payout_cents)
