"""Every commit boundary of the product: who passes it, and what is done if the process dies there.

`BOUNDARIES` has those of the rails, `BOOKS` those of the kernel, the journal, the close and what watches over
them, `BILLING` those of checkout billing, whose effect is what the provider was made to do, or what we know
where nothing is asked of it.

`False`: nothing has happened, the repeat makes it happen. `True`: it has happened and nobody was told, the
repeat only tells. The stories are in `stories`; a point that the product has and this table has not fails
a test.
"""

from typing import Final

BOUNDARIES: Final[dict[str, dict[str, bool]]] = {
    "Enqueue": {
        "enqueue.before_write": False,
        "enqueue.before_commit": False,
        "idempotent.before_commit": False,
        "idempotent.after_commit": True,
        "enqueue.after_commit": True,
    },
    "Submit": {
        "submit.before_t1": False,
        "submit.before_t1_commit": False,
        "submit.after_t1": False,
        "submit.before_call": False,
        "submit.after_call": True,
        "submit.before_t2": True,
        "submit.before_t2_commit": True,
        "submit.after_t2": True,
    },
    "RefusedSubmit": {"submit.before_t2_failure": False, "submit.after_t2_failure": True},
    "Recovery": {
        "doubt.before_t1_commit": False,
        "doubt.after_t1": False,
        "doubt.before_list": False,
        "doubt.after_list": False,
        "submit.before_call": False,
        "submit.after_call": True,
        "submit.before_t2": True,
        "submit.before_t2_commit": True,
        "submit.after_t2": True,
    },
    "Ingest": {"ingest.before_commit": False, "ingest.after_commit": True},
    "RefusedIngest": {"ingest.before_refused_commit": False},
    "Consume": {"consume.before_commit": False, "consume.after_commit": True},
    "Cancel": {"cancel.before_commit": False, "cancel.after_commit": True},
    "AskForClose": {"close_request.before_commit": False},
    "Close": {
        "close.after_statements": False,
        "close.before_freeze": False,
        "close.after_gl_batch": False,
        "close.before_commit": False,
        "close.after_commit": True,
    },
    "Import": {"import.within": False, "import.before_commit": False, "import.after_commit": True},
    "Adjust": {"adjust.before_commit": False, "adjust.after_commit": True},
    "AskForApproval": {"approval_ask.before_commit": False},
    "Approve": {
        "plan_approval.before_commit": False,
        "approval_approve.before_commit": False,
        "approval_approve.after_commit": True,
    },
    "Stop": {"stop.before_commit": False, "stop.after_commit": True},
    "Lift": {"lift.before_commit": False, "lift.after_commit": True},
    "AskProvider": {
        "unknown.before_t1": False,
        "unknown.before_t1_commit": False,
        "unknown.after_t1": False,
        "doubt.before_list": False,
        "doubt.after_list": False,
        "submit.before_t2": False,
        "submit.before_t2_commit": False,
        "submit.after_t2": True,
    },
    "Replay": {"submit.before_call": False, "submit.after_call": True, "submit.before_t2_commit": True},
    "Settle": {
        "settle.before_t1": False,
        "settle.before_t1_commit": False,
        "settle.after_t1": False,
        "settle.before_list": False,
        "settle.after_list": False,
        "settle.before_t2": False,
        "settle.before_t2_commit": False,
        "settle.after_t2": True,
    },
    "Reconcile": {"reconcile.before_commit": False, "reconcile.after_commit": True},
    "ReadStatement": {"statement.before_commit": False, "statement.after_commit": True},
    "ReconcileStatement": {
        "reconcile.provider.before_commit": False,
        "reconcile.provider.after_commit": True,
    },
    "Triage": {"triage.before_commit": False},
    "StartBatch": {"triage_batch_start.before_commit": False, "triage_batch_start.after_commit": True},
    "WorkBatch": {"triage_batch.before_commit": False, "triage_batch.after_commit": True},
    "PutAccount": {"connect_upsert.before_commit": False, "connect_upsert.after_commit": True},
    "DeleteAccount": {"connect_delete.before_commit": False, "connect_delete.after_commit": True},
    "SyncAccounts": {
        "connect_sync.before_call": False,
        "connect_sync.after_call": False,
        "connect_sync.before_commit": False,
        "connect_sync.after_commit": True,
    },
    "AccountNews": {"connect_news.before_commit": False, "connect_news.after_commit": True},
}

# The points of a story are passed in this order; one set-up dies at each of them in turn.
BOOKS: Final[dict[str, dict[str, bool]]] = {
    "RegisterAgent": {
        "kernel.register_agent.before_commit": False,
        "kernel.register_agent.after_commit": True,
    },
    "Fund": {
        "kernel.fund.before_commit": False,
        "idempotent.before_commit": False,
        "kernel.fund.after_commit": True,
    },
    "ReverseFunding": {"kernel.reverse_funding.before_commit": False},
    "OpenRun": {"kernel.open_run.before_commit": False, "kernel.open_run.after_commit": True},
    "CompleteRun": {
        "kernel.settle.before_documents": False,
        "kernel.append_event.before_commit": False,
        "idempotent.before_commit": False,
        "idempotent.after_commit": True,
        "kernel.append_event.after_commit": True,
    },
    "ResolveRun": {"kernel.resolve.before_commit": False, "kernel.resolve.after_commit": True},
    "LockHold": {"kernel.lock_hold.before_commit": False, "kernel.lock_hold.after_commit": True},
    "ReleaseHold": {"kernel.release_hold.before_commit": False, "kernel.release_hold.after_commit": True},
    "OpenDispute": {"kernel.open_dispute.before_commit": False, "kernel.open_dispute.after_commit": True},
    "SubmitEvidence": {
        "kernel.submit_evidence.before_commit": False,
        "kernel.submit_evidence.after_commit": True,
    },
    "Escalate": {"kernel.escalate.before_commit": False, "kernel.escalate.after_commit": True},
    "CloseDispute": {"kernel.close_dispute.before_commit": False, "kernel.close_dispute.after_commit": True},
    "ReservePayout": {
        "kernel.payables.reserve.before_commit": False,
        "enqueue.before_commit": False,
        "enqueue.after_commit": True,
    },
    "CommitPayout": {
        "kernel.payables.commit.before_commit": False,
        "ingest.before_commit": False,
        "ingest.after_commit": True,
    },
    "ReleasePayout": {
        "kernel.payables.release.before_commit": False,
        "cancel.before_commit": False,
        "cancel.after_commit": True,
    },
    "ReturnPayout": {
        "kernel.payables.return.before_commit": False,
        "ingest.before_commit": False,
        "ingest.after_commit": True,
    },
    "OpenAccount": {"ledger.open_account.before_commit": False, "ledger.open_account.after_commit": True},
    "EnterByHand": {"ledger.enter.before_commit": False, "ledger.enter.after_commit": True},
    "MapAccounts": {"account_map.before_commit": False},
    "DecideHoldPolicy": {"close_policy.before_commit": False},
    "CloseBooks": {
        "close.after_statements": False,
        "close.before_freeze": False,
        "close.after_gl_batch": False,
        "close.before_commit": False,
        "close.after_commit": True,
    },
    "PackMonth": {"finance_pack.before_commit": False, "finance_pack.after_commit": True},
    "NetClose": {"net_close.before_commit": False},
    "CompareBooks": {"finance_reconcile.before_commit": False, "finance_reconcile.after_commit": True},
    "InvoicePeriod": {"period_close.before_commit": False},
    "OpenBreach": {"invariants.case.before_commit": False, "invariants.case.after_commit": True},
    "StopForBreach": {"invariants.stop.before_commit": False, "invariants.stop.after_commit": True},
    "NoteChecks": {"invariants.checks.before_commit": False},
}

_CHECKOUT: Final = {
    "billing.checkout.before_claim_commit": False,
    "billing.checkout.claimed": False,
    "billing.checkout.before_dispatch": False,
    "billing.checkout.dispatched": True,
    "billing.checkout.before_commit": True,
    "billing.checkout.after_commit": True,
}
_PORTAL: Final = {
    "billing.portal.before_claim_commit": False,
    "billing.portal.claimed": False,
    "billing.portal.dispatched": True,
    "billing.portal.before_commit": True,
}
_LINK: Final = {
    "billing.payment_link.before_claim_commit": False,
    "billing.payment_link.claimed": False,
    "billing.payment_link.price_made": False,
    "billing.payment_link.before_freeze_commit": False,
    "billing.payment_link.frozen": False,
    "billing.payment_link.dispatched": True,
    "billing.payment_link.before_commit": True,
}
_EVENT: Final = {
    "billing.webhook.stored": False,
    "billing.webhook.prefetched": False,
    "billing.webhook.before_commit": False,
    "billing.webhook.after_commit": True,
}
BILLING: Final[dict[str, dict[str, bool]]] = {
    "Checkout": _CHECKOUT,
    "CheckoutThenLoop": _CHECKOUT,
    "CheckoutThenEvent": _CHECKOUT,
    "RefusedCheckout": {
        "billing.checkout.dispatch_failed": False,
        "billing.terminate.before_commit": False,
        "billing.terminate.after_commit": True,
    },
    "UnansweredCheckout": {
        "billing.checkout.dispatch_failed": True,
        "billing.remember.before_commit": True,
    },
    "UndeliveredCheckout": {"billing.remember.before_commit": False},
    "FindOut": {
        "billing.recovery.before_claim_commit": False,
        "billing.recovery.claimed": False,
        "billing.checkout.before_dispatch": False,
        "billing.checkout.dispatched": False,
        "billing.checkout.before_commit": False,
        "billing.checkout.after_commit": True,
    },
    "Hear": _EVENT,
    "HearThenWorker": _EVENT,
    "HearOfCard": {"billing.payment_method_event.before_commit": False},
    "Return": {
        "billing.refresh.claimed": False,
        "billing.refresh.dispatched": False,
        "billing.refresh.before_commit": False,
        "billing.webhook.prefetched": False,
    },
    "SyncCards": {
        "billing.payment_methods.dispatched": False,
        "billing.payment_methods.before_commit": False,
    },
    "Expire": {
        "billing.outbox.claimed": False,
        "billing.outbox.dispatched": True,
        "billing.outbox.finished": True,
    },
    "Remedy": {
        "billing.remediation.claimed": False,
        "billing.remediation.decided": False,
        "billing.remediation.dispatched": True,
        "billing.remediation.finished": True,
    },
    "Compare": {
        "billing.reconciliation.opened": False,
        "billing.reconciliation.saved": True,
        "billing.reconciliation.closed": True,
    },
    "Portal": _PORTAL,
    "PortalThenLoop": _PORTAL,
    "Link": _LINK,
    "LinkThenLoop": _LINK,
    "LimitedLink": {
        "billing.limits.reserved": False,
        "billing.payment_link.claimed": False,
        "billing.payment_link.dispatched": True,
    },
    "EndLink": {"billing.payment_link_end.dispatched": True},
}
