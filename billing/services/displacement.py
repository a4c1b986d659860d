"""Which session blocks an entity when two would (spec/checkout-billing.md 6.1, 6.3; INV-16, INV-19)."""

import datetime as dt
from collections.abc import Iterable
from typing import Any, Final

from django.conf import settings

from billing.models import BillableEntity, CheckoutSession
from billing.services import outbox, session_rows
from billing.states import FailureCode, Flow, SessionStatus

DISPLACED: Final = "displaced"
RANK: Final[dict[str, int]] = {
    SessionStatus.COMPLETED_PENDING_SUBSCRIPTION: 3,
    SessionStatus.RECOVERY_VERIFICATION_PENDING: 2,
    SessionStatus.OPEN: 1,
}
_FAILURES: Final[dict[str, FailureCode]] = {
    SessionStatus.OPEN: FailureCode.CHECKOUT_SESSION_OPEN,
    SessionStatus.COMPLETED_PENDING_SUBSCRIPTION: FailureCode.CHECKOUT_COMPLETION_PENDING,
    SessionStatus.RECOVERY_VERIFICATION_PENDING: FailureCode.CHECKOUT_RECOVERY_VERIFICATION_PENDING,
}


def blocks(session: CheckoutSession, *, now: dt.datetime) -> bool:
    """Tell whether a session keeps its entity from another subscription checkout at this moment.

    An open one does until its expiry and the grace after it have passed, a hold until its expiry, a
    completed one always; without an expiry there is no end. Sessions of other flows never block.
    """
    if session.flow != Flow.SUBSCRIPTION or session.status not in RANK:
        return False
    return not _is_overdue(session, now=now)


def blocking_session(sessions: Iterable[CheckoutSession], *, now: dt.datetime) -> CheckoutSession | None:
    """Give the session that blocks the entity now, None when none does."""
    return next((session for session in sessions if blocks(session, now=now)), None)


def blocking_failure(session: CheckoutSession) -> tuple[FailureCode, dict[str, Any]]:
    """Say why a checkout is refused while this session blocks: the canonical code and its details."""
    code = _FAILURES[session.status]
    if code != FailureCode.CHECKOUT_SESSION_OPEN:
        return code, {}
    return code, {
        "providerCheckoutSessionId": session.provider_checkout_session_id,
        "checkoutUrl": session.checkout_url,
    }


def expire_overdue(
    entity: BillableEntity, sessions: Iterable[CheckoutSession], *, now: dt.datetime
) -> list[CheckoutSession]:
    """Close what blocks no longer because of the time: open -> expired, hold -> abandoned (5.2 step 3).

    Only subscription-flow sessions. Gives the sessions that are left in a state that can still change.
    """
    left = []
    for session in sessions:
        if _is_overdue(session, now=now):
            _close_overdue(session, now=now)
        else:
            left.append(session)
    return left


def make_room(*, entity: BillableEntity, operation_key: str, status: str, now: dt.datetime) -> bool:
    """Decide whether the session of an operation may begin to block in this state; False means it lost.

    The higher rank keeps the block and a tie keeps the one that has it; one that loses it is abandoned,
    and an expire job is owed if the provider knows it. Overdue sessions are closed by the time first.
    """
    for holder in session_rows.blocking(entity, other_than=operation_key):
        if _is_overdue(holder, now=now):
            _close_overdue(holder, now=now)
        elif RANK[status] <= RANK[holder.status]:
            return False
        else:
            abandon(entity, holder, now=now)
    return True


def displace_others(
    *, entity: BillableEntity, keep_operation_key: str | None, now: dt.datetime, reason: str = DISPLACED
) -> list[CheckoutSession]:
    """Abandon every other blocking session of an entity that has got a current subscription.

    The session of `keep_operation_key` stays as it is. Expire jobs are owed for those that the provider
    knows. Inside the caller's transaction, the entity locked; gives what was abandoned.
    """
    losers = session_rows.blocking(entity, other_than=keep_operation_key)
    for loser in losers:
        abandon(entity, loser, now=now, reason=reason)
    return losers


def abandon(
    entity: BillableEntity, session: CheckoutSession, *, now: dt.datetime, reason: str = DISPLACED
) -> None:
    """Give a session up and owe the provider its end, if it has a session at all."""
    session_rows.enter(session, SessionStatus.ABANDONED, now=now, reason=reason)
    session.save()
    owe_expiry(entity, session, now=now)


def owe_expiry(entity: BillableEntity, session: CheckoutSession, *, now: dt.datetime) -> None:
    """Owe the provider the end of a session that is nobody's any more; owed once, however often asked."""
    if session.provider_checkout_session_id:
        outbox.enqueue_expire(
            entity=entity,
            provider_checkout_session_id=session.provider_checkout_session_id,
            operation_key=session.operation_key,
            now=now,
        )


def _is_overdue(session: CheckoutSession, *, now: dt.datetime) -> bool:
    if session.flow != Flow.SUBSCRIPTION or session.expires_at is None:
        return False
    if session.status == SessionStatus.OPEN:
        grace = dt.timedelta(seconds=settings.BILLING.expires_at_grace_seconds)
        return bool(session.expires_at + grace <= now)
    return bool(session.status == SessionStatus.RECOVERY_VERIFICATION_PENDING and session.expires_at <= now)


def _close_overdue(session: CheckoutSession, *, now: dt.datetime) -> None:
    is_open = session.status == SessionStatus.OPEN
    session_rows.enter(
        session,
        SessionStatus.EXPIRED if is_open else SessionStatus.ABANDONED,
        now=now,
        reason="expiry_passed" if is_open else "hold_elapsed",
    )
    session.save()
