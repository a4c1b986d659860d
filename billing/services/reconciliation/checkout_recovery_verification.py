"""Scope checkout_recovery_verification: places held for checkouts whose fate nobody knows."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from billing import clock
from billing.models import BillingRequest, CheckoutSession
from billing.provider_time import ProviderTime
from billing.providers.facts import Answer, SessionFacts
from billing.services.reconciliation import batches, sessions
from billing.services.reconciliation.runs import Item, Run
from billing.services.reconciliation.walk import Plain
from billing.states import Scope, SessionStatus
from settld.core import tenancy
from settld.core.transactions import atomic

HOLD: Final = SessionStatus.RECOVERY_VERIFICATION_PENDING
BEFORE: Final = dt.timedelta(seconds=300)
DAY: Final = dt.timedelta(hours=24)
PREFERRED: Final = ("complete", "open", "expired")


class CheckoutRecoveryVerification(Plain):
    """Found by its id or by an exhaustive lookup -> merged; else, once the hold is over, abandoned."""

    scope = Scope.CHECKOUT_RECOVERY_VERIFICATION

    def batch(self, *, after: int, limit: int, now: dt.datetime) -> Sequence[Item]:
        """List every hold."""
        return batches.after(
            CheckoutSession.objects.filter(status=HOLD), after_id=after, limit=limit, scope=self.scope
        )

    def examine(self, run: Run, item: Item) -> None:
        """Look for the session; only a provider that has answered lets a hold end."""
        session = sessions.read(item)
        if session is None or session.status != HOLD:
            return
        if session.provider_checkout_session_id is not None:
            found = sessions.retrieve(run, session)
            if found is None:
                run.note_missing(id=item.id, tenant_id=item.tenant_id, entity_id=item.entity_id)
                return
        else:
            found = _look_up(run, item, session)
        if found is not None:
            run.drift += 1
            if not run.is_dry:
                run.repair(item, lambda entity: sessions.merge(entity, item, found))
        else:
            self._end_elapsed(run, item, session)

    def apply_missing(self, run: Run, what: dict[str, Any]) -> None:
        """End a hold that is over and whose session the provider does not know."""
        item = Item(**what)
        session = sessions.read(item)
        if session is not None and session.status == HOLD:
            self._end_elapsed(run, item, session)

    def _end_elapsed(self, run: Run, item: Item, session: CheckoutSession) -> None:
        if session.expires_at is None or session.expires_at > clock.now():
            return
        run.drift += 1
        if not run.is_dry:
            run.repair(
                item,
                lambda entity: sessions.close(
                    entity, item, status=SessionStatus.ABANDONED, reason="hold_elapsed"
                ),
            )


def _look_up(run: Run, item: Item, session: CheckoutSession) -> Answer[SessionFacts] | None:
    """Search every session that was created while ours may have been (5.4 step 3).

    The times are our clock's and bound a question only; five minutes of slack stand before them.
    """
    with tenancy.tenant_scope(item.tenant_id), atomic():
        request = BillingRequest.objects.filter(operation_key=session.operation_key).first()
    frozen_at = request.provider_request_frozen_at if request is not None else None
    first, last = frozen_at or session.created_at - DAY, (frozen_at or session.created_at) + DAY
    run.seen += 1
    found = run.ask().list_checkout_sessions_by_operation_key(
        session.operation_key,
        client_reference_id=str(item.entity_id),
        created_from=_instant(first - BEFORE),
        created_to=_instant(last),
        profile="worker",
    )
    ranked = sorted(found, key=lambda answer: PREFERRED.index(answer.facts.status))
    return ranked[0] if ranked else None


def _instant(at: dt.datetime) -> ProviderTime:
    return ProviderTime(int(at.timestamp()))
