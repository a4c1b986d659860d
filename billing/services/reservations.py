"""Uses that are counted before they are certain, because their act has an effect outside (spec 7.8)."""

import datetime as dt
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

from django.conf import settings
from django.db.models import QuerySet

from billing.models import UsageEvent
from billing.services import transactions, usage
from billing.services.usage import Use
from billing.states import UsageState
from settld.core import failpoints, tenancy


@dataclass(frozen=True)
class Reservation:
    """A use that is counted but not certain yet; `is_ours` unless an earlier try of the same act made it."""

    use: Use
    usage_event_key: str
    is_ours: bool


def reserve_quota(use: Use, *, key: str, count: Callable[[], None], now: dt.datetime) -> Reservation | None:
    """Enter a use as reserved and count it; None when its key is counted for certain already."""

    def enter() -> Reservation | None:
        if usage.claim_event(use, key=key, state=UsageState.RESERVED, now=now):
            count()
            return Reservation(use, key, is_ours=True)
        is_certain = _events(use, key).filter(state=UsageState.COUNTED).exists()
        return None if is_certain else Reservation(use, key, is_ours=False)

    made = transactions.retried(tenant_id=use.tenant_id, work=enter)
    failpoints.hit("billing.limits.reserved")
    return made


def confirm(reservation: Reservation | None, *, now: dt.datetime) -> None:
    """Make a reserved use certain, counting it again if it was released meanwhile; None is fine.

    The act has happened, so no limit is asked any more. Twice is once. No transaction may be open.
    """
    if reservation is None:
        return
    use, key = reservation.use, reservation.usage_event_key

    def make_certain() -> None:
        if _events(use, key).filter(state=UsageState.RESERVED).update(state=UsageState.COUNTED):
            return
        if usage.claim_event(use, key=key, state=UsageState.COUNTED, now=now):
            usage.add(use, limit=None, now=now)

    transactions.retried(tenant_id=use.tenant_id, work=make_certain)


def adopt(reservation: Reservation | None) -> Reservation | None:
    """Make a reservation ours, whichever try entered it: for the one try that alone may act from here on."""
    return None if reservation is None else replace(reservation, is_ours=True)


def release(reservation: Reservation | None) -> None:
    """Give a reserved use back because its act certainly had no effect; twice is once, and None is fine.

    What an earlier try reserved is left to it.
    """
    if reservation is None or not reservation.is_ours:
        return
    use = reservation.use

    def take_back() -> None:
        for event in _events(use, reservation.usage_event_key):
            usage.take_back(event)

    transactions.retried(tenant_id=use.tenant_id, work=take_back)


def release_stale(*, now: dt.datetime, limit: int = 500) -> int:
    """Give back the oldest reservations that nobody confirmed in time, and tell how many; for a tick."""
    long_ago = now - dt.timedelta(seconds=settings.BILLING.reservation_seconds)
    with tenancy.platform_scope(reason="billing: find stale reservations"):
        stale = list(
            UsageEvent.objects.filter(state=UsageState.RESERVED, created_at__lte=long_ago).order_by(
                "created_at"
            )[:limit]
        )
    released = 0
    for event in stale:
        released += transactions.retried(
            tenant_id=event.tenant_id, work=functools.partial(usage.take_back, event)
        )
    return released


def _events(use: Use, key: str) -> QuerySet[UsageEvent]:
    return UsageEvent.objects.filter(
        tenant_id=use.tenant_id,
        billable_entity_id=use.billable_entity_id,
        entitlement_code=use.entitlement_code,
        usage_event_key=key,
    )
