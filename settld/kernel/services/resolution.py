"""What a person's resolution of a settlement comes to, in cents and percent (kernel spec 6.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from settld.core.errors import Invalid
from settld.core.money import MAX_MINOR
from settld.kernel.states import SettlementStatus


@dataclass(frozen=True, slots=True)
class Asked:
    """A resolution as asked for. What is None is derived; for `refunded` all of it is ignored."""

    status: str
    release_rate_pct: int | None = None
    released_cents: int | None = None
    refunded_cents: int | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """How an amount is parted; the two parts add up to it."""

    released_cents: int
    refunded_cents: int
    release_rate_pct: int


def asked_of(given: Mapping[str, Any]) -> Asked:
    """Read status, rate and amounts of a request. Raises Invalid.

    Rate and amounts are JSON integers; they are not even looked at when everything is refunded.
    """
    status = given.get("status")
    if status not in (SettlementStatus.RELEASED, SettlementStatus.REFUNDED):
        raise Invalid("status must be released or refunded")
    if status == SettlementStatus.REFUNDED:
        return Asked(status=status)
    return Asked(
        status=status,
        release_rate_pct=_integer(given, "releaseRatePct", most=100),
        released_cents=_integer(given, "releasedAmountCents", most=MAX_MINOR),
        refunded_cents=_integer(given, "refundedAmountCents", most=MAX_MINOR),
    )


def split(asked: Asked, *, amount_cents: int) -> Split:
    """Part a settlement's amount as asked for. Raises Invalid where that contradicts itself or the amount.

    A rate takes whole cents, rounded down. Amounts set the rate, rounded half up; a rate beside them agrees
    when either way of rounding leads from one to the other, and is then kept.
    """
    if asked.status == SettlementStatus.REFUNDED:
        return Split(0, amount_cents, 0)
    released, refunded, rate = asked.released_cents, asked.refunded_cents, asked.release_rate_pct
    if released is None and refunded is None:
        rate = 100 if rate is None else rate
        released = amount_cents * rate // 100
        return Split(released, amount_cents - released, rate)
    if released is None:
        released = amount_cents - (refunded or 0)
    elif refunded is not None and released + refunded != amount_cents:
        raise Invalid("releasedAmountCents and refundedAmountCents must add up to the settlement's amount")
    if not 0 <= released <= amount_cents:
        raise Invalid("amounts must be from 0 to the settlement's amount")
    found = rounded_rate(released_cents=released, amount_cents=amount_cents)
    if rate is not None and rate != found and amount_cents * rate // 100 != released:
        raise Invalid("releaseRatePct and amounts disagree")
    return Split(released, amount_cents - released, found if rate is None else rate)


def rounded_rate(*, released_cents: int, amount_cents: int) -> int:
    """Give what was released in percent, rounded half up."""
    return (200 * released_cents + amount_cents) // (2 * amount_cents)


def _integer(given: Mapping[str, Any], key: str, *, most: int) -> int | None:
    value = given.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise Invalid(f"{key} must be an integer from 0 to {most}")
    return value
