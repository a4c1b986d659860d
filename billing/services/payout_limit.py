"""What a tenant's plan says about its payouts: the answer that the money rails ask for."""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from billing.services import limits, reservations
from billing.services.reservations import Reservation
from moneyrails import payout_limit

CAPABILITY: Final = "payouts.submit"


@dataclass(frozen=True)
class ReservedPayout:
    """One payout that is counted and not certain yet."""

    reservation: Reservation

    def confirm(self, *, now: dt.datetime) -> None:
        reservations.confirm(self.reservation, now=now)

    def release(self) -> None:
        reservations.release(self.reservation)


class PayoutsOfPlan:
    """Counts payouts by operation for tenants with a subscription; costs others one read, or none at all."""

    def reserve(self, *, tenant_id: str, operation_id: str, now: dt.datetime) -> ReservedPayout | None:
        if not settings.BILLING.enabled:
            return None
        made = limits.reserve_for_workspace(
            tenant_id=tenant_id, capability=CAPABILITY, usage_event_key=operation_id, now=now
        )
        return None if made is None else ReservedPayout(made)

    def count(self, *, tenant_id: str, operation_id: str, now: dt.datetime) -> None:
        if not settings.BILLING.enabled:
            return
        limits.count_for_workspace(
            tenant_id=tenant_id, capability=CAPABILITY, usage_event_key=operation_id, now=now
        )


def register() -> None:
    """Answer for the money rails."""
    payout_limit.register(PayoutsOfPlan())
