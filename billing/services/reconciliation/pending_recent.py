"""Scope pending_recent: requests that nobody can replay any more, and events that failed to be applied."""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from django.db.models import Q

from billing import clock
from billing.models import BillingRequest
from billing.services import recovery
from billing.services.idempotency import RequestInProgress
from billing.services.idempotency_lease import NotDue
from billing.services.reconciliation import batches, webhook_replay
from billing.services.reconciliation.runs import MOST_PROVIDER_CALLS, Item, Run
from billing.services.reconciliation.walk import Plain
from billing.states import RequestStatus, Scope
from settld.core import tenancy
from settld.core.transactions import atomic

UNFROZEN_FOR: Final = dt.timedelta(minutes=15)


class PendingRecent(Plain):
    """Past its deadline, or never frozen -> ended, with a hold while the outcome is open (5.4 steps 2-4)."""

    scope = Scope.PENDING_RECENT

    def batch(self, *, after: int, limit: int, now: dt.datetime) -> Sequence[Item]:
        """List pending requests that nobody works on, past their deadline or without what a replay needs."""
        is_over = Q(provider_idempotency_replay_deadline_at__lte=now)
        is_bare = Q(provider_request_params_json__isnull=True, created_at__lte=now - UNFROZEN_FOR)
        rows = BillingRequest.objects.filter(
            is_over | is_bare, status=RequestStatus.PENDING, pending_lease_expires_at__lte=now
        )
        return batches.after(rows, after_id=after, limit=limit, scope=self.scope)

    def examine(self, run: Run, item: Item) -> None:
        """Have recovery end the request; the request's own lease fences whoever else comes."""
        run.drift += 1
        if run.is_dry:
            return
        run.require_still_ours()
        run.ask()  # recovery asks the provider on our behalf, at least once
        try:
            recovery.recover(
                tenant_id=item.tenant_id, request_id=item.id, is_same_key_retry=False, profile="worker"
            )
        except (NotDue, RequestInProgress):
            run.note("notDue")
            return
        if not _is_pending(item):
            run.repaired += 1

    def conclude(self, run: Run) -> None:
        """Apply the events that are due for another try (8.8)."""
        waiting = webhook_replay.due_ids(now=clock.now())
        run.drift += len(waiting)
        run.note("webhooksDue", len(waiting))
        if run.is_dry:
            return
        for consumption_id in waiting:
            if run.calls >= MOST_PROVIDER_CALLS:
                run.note("webhooksLeft")
                continue
            run.keep()
            run.require_still_ours()
            run.ask()  # the provider may have to be asked how the object is now
            is_applied = webhook_replay.replay(consumption_id)
            if is_applied:
                run.repaired += 1
                run.note("webhooksReplayed")
            elif is_applied is not None:
                run.failed += 1
                run.note("webhooksFailed")


def _is_pending(item: Item) -> bool:
    with tenancy.tenant_scope(item.tenant_id), atomic():
        return BillingRequest.objects.filter(pk=item.id, status=RequestStatus.PENDING).exists()
