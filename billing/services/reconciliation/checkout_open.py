"""Scope checkout_open: sessions that should have ended, and those whose end we may have missed."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings
from django.db.models import F, Q

from billing import clock
from billing.models import CheckoutSession
from billing.providers.facts import SessionFacts
from billing.services.reconciliation import batches, sessions
from billing.services.reconciliation.runs import Item, Run
from billing.services.reconciliation.walk import Plain
from billing.states import Scope, SessionStatus

OLD_ENOUGH: Final = dt.timedelta(minutes=15)
READ_AGAIN_AFTER: Final = dt.timedelta(hours=1)
AT_CREATION: Final = dt.timedelta(minutes=1)  # the answer that made the session is no second look


class CheckoutOpen(Plain):
    """expired at the provider -> expired; complete -> completed; open -> address and expiry refreshed."""

    scope = Scope.CHECKOUT_OPEN

    def batch(self, *, after: int, limit: int, now: dt.datetime) -> Sequence[Item]:
        """List open sessions without an end or past it, and older ones that nobody has read for an hour."""
        grace = dt.timedelta(seconds=settings.BILLING.expires_at_grace_seconds)
        is_over = Q(expires_at=None) | Q(expires_at__lte=now - grace)
        is_as_made = Q(last_read_at=None) | Q(last_read_at__lte=F("created_at") + AT_CREATION)
        is_unread = is_as_made | Q(last_read_at__lte=now - READ_AGAIN_AFTER)
        due = is_over | (Q(created_at__lte=now - OLD_ENOUGH) & is_unread)
        rows = CheckoutSession.objects.filter(due, status=SessionStatus.OPEN)
        return batches.after(rows, after_id=after, limit=limit, scope=self.scope)

    def examine(self, run: Run, item: Item) -> None:
        """Read the session at the provider and follow it."""
        session = sessions.read(item)
        if session is None or session.status != SessionStatus.OPEN:
            return
        if session.provider_checkout_session_id is None:
            self._close_overdue(run, item, session)
            return
        answer = sessions.retrieve(run, session)
        if answer is None:
            run.note_missing(id=item.id, tenant_id=item.tenant_id, entity_id=item.entity_id)
        elif _has_drifted(session, answer.facts):
            run.drift += 1
            if not run.is_dry:
                run.repair(item, lambda entity: sessions.merge(entity, item, answer))
        elif not run.is_dry:
            sessions.touch(run, item)

    def apply_missing(self, run: Run, what: dict[str, Any]) -> None:
        """End a session that the provider does not know once its time is over; until then it is left."""
        item = Item(**what)
        session = sessions.read(item)
        if session is not None and session.status == SessionStatus.OPEN:
            self._close_overdue(run, item, session)

    def _close_overdue(self, run: Run, item: Item, session: CheckoutSession) -> None:
        grace = dt.timedelta(seconds=settings.BILLING.expires_at_grace_seconds)
        if session.expires_at is None or session.expires_at + grace > clock.now():
            return
        run.drift += 1
        if not run.is_dry:
            run.repair(
                item,
                lambda entity: sessions.close(
                    entity, item, status=SessionStatus.EXPIRED, reason="expiry_passed"
                ),
            )


def _has_drifted(session: CheckoutSession, facts: SessionFacts) -> bool:
    expires_at = None if facts.expires_at is None else facts.expires_at.at
    return (
        facts.status != "open"
        or (facts.url is not None and facts.url != session.checkout_url)
        or (expires_at is not None and expires_at != session.expires_at)
    )
