"""Scope payment_methods: what every primary customer can pay with (section 7.5)."""

import datetime as dt
from collections.abc import Sequence

from billing import clock
from billing.models import Customer
from billing.services import payment_methods
from billing.services.reconciliation import batches
from billing.services.reconciliation.runs import Item, Run
from billing.services.reconciliation.walk import Plain
from billing.states import Scope


class PaymentMethods(Plain):
    """Each is synced as a person would; a card past its last month is marked as expired."""

    scope = Scope.PAYMENT_METHODS

    def batch(self, *, after: int, limit: int, now: dt.datetime) -> Sequence[Item]:
        """List the primary customers."""
        rows = Customer.objects.filter(is_primary=True, provider_deleted_at=None)
        return batches.after(rows, after_id=after, limit=limit, scope=self.scope)

    def examine(self, run: Run, item: Item) -> None:
        """Sync one customer; the sync has a transaction of its own and yields to newer facts."""
        run.seen += 1
        if run.is_dry:
            return
        run.require_still_ours()
        run.ask()  # the customer
        run.ask()  # and the methods
        expired = payment_methods.sync_daily(
            tenant_id=item.tenant_id, entity_id=item.entity_id, now=clock.now()
        )
        run.note("cardsExpired", expired)
