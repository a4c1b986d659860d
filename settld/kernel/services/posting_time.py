"""When a movement is booked whose own month may be closed already (docs/payables.md, "A closed month")."""

import datetime as dt
from typing import Final

import structlog

from settld.audit import services as audit
from settld.core import clock
from settld.core.principals import Actor
from settld.ledger.services import months

log = structlog.get_logger(__name__)
POSTER: Final = Actor.system("payables")
BASIS: Final = "settledAt"
MOST_MONTHS_AHEAD: Final = 24


def open_instant(*, tenant_id: str, operation_id: str, now: dt.datetime) -> dt.datetime:
    """Give the instant at which a payout's money is booked: now, if this month's books are open.

    A running month may be closed. What a provider tells us has happened all the same, so it is booked at
    the first instant of the first later month that is open, and an audit says so. The month's row stays
    locked shared, so it is still open when the entry is written.
    """
    at = now
    for _ in range(MOST_MONTHS_AHEAD):
        month = clock.period_of(at)
        row = months.lock_shared(tenant_id=tenant_id, month=month, basis=BASIS, now=now)
        if not row.is_closed:
            if at != now:
                _tell(tenant_id=tenant_id, operation_id=operation_id, at=at, now=now)
            return at
        at = dt.datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=dt.UTC)
    raise RuntimeError(f"no open month within {MOST_MONTHS_AHEAD} months of {clock.iso(now)}")


def _tell(*, tenant_id: str, operation_id: str, at: dt.datetime, now: dt.datetime) -> None:
    closed = clock.period_of(now)
    log.warning("payout_booked_ahead", operation_id=operation_id, closed_month=closed, at=clock.iso(at))
    audit.append(
        tenant_id=tenant_id,
        actor=POSTER,
        action="PAYOUT_BOOKED_AHEAD",
        target_type="payout_reservation",
        target_id=operation_id,
        details={"operationId": operation_id, "closedMonth": closed, "bookedAt": clock.iso(at)},
        at=now,
    )
