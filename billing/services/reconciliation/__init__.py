"""Comparing ourselves with the provider, scope by scope (spec/checkout-billing.md 9.3)."""

from typing import Final

from billing.services.reconciliation.checkout_completed_pending import CheckoutCompletedPending
from billing.services.reconciliation.checkout_open import CheckoutOpen
from billing.services.reconciliation.checkout_recovery_verification import CheckoutRecoveryVerification
from billing.services.reconciliation.invoices_recent import InvoicesRecent
from billing.services.reconciliation.payment_methods import PaymentMethods
from billing.services.reconciliation.pending_recent import PendingRecent
from billing.services.reconciliation.runs import EVERY, due
from billing.services.reconciliation.subscriptions_active import SubscriptionsActive
from billing.services.reconciliation.walk import Summary, Work
from billing.services.reconciliation.walk import run as run_work
from billing.states import Scope

__all__ = ["EVERY", "Summary", "due", "run"]
_WORK: Final[dict[Scope, Work]] = {
    work.scope: work
    for work in (
        PendingRecent(),
        CheckoutRecoveryVerification(),
        CheckoutCompletedPending(),
        CheckoutOpen(),
        SubscriptionsActive(),
        InvoicesRecent(),
        PaymentMethods(),
    )
}


def run(scope: Scope, *, limit: int | None = None, dry_run: bool = False) -> Summary:
    """Run one scope; at most one run of a scope is at work at a time, another call is `skipped`.

    `limit` bounds the rows that are looked at; the next run begins after them. A dry run asks the provider
    and writes nothing, not even its own row. Must not run inside a transaction. Failures of single rows are
    counted in the summary, a run that broke says `failed`; neither is raised.
    """
    return run_work(_WORK[scope], limit=limit, is_dry=dry_run)
