"""What may happen around a checkout."""

import json
from collections.abc import Sequence
from typing import Any

from billing.services import outbox, reconciliation, recovery, remediation_work, webhooks
from billing.states import CURRENT_SUBSCRIPTION
from settld.stripe_gateway.models import StripeEventConsumption
from tests.billing.exploration.stage import Stage

BODY = {
    "planCode": "pro",
    "successPath": "/w/tenant_a/billing?checkout=success",
    "cancelPath": "/w/tenant_a/billing",
}
KINDS = (
    "checkout.session.completed",
    "customer.subscription.created",
    "customer.subscription.updated",
    "invoice.paid",
)
HANDLED = webhooks.EVENT_TYPES
LOOPS = (
    "pending_recent",
    "checkout_recovery_verification",
    "checkout_completed_pending",
    "checkout_open",
    "subscriptions_active",
    "invoices_recent",
)


def start_checkout(
    stage: Stage, *, key: str = "key-1", plan: str = "pro", is_undisturbed: bool = True
) -> tuple[int, Any]:
    """Ask for a checkout; the answer's status and body.

    A new answer to somebody `is_undisturbed` says what the provider's session is at this moment; only a
    replayed one may be outdated.
    """
    answer = stage.call("POST", "/api/billing/checkout", BODY | {"planCode": plan}, key=key)
    body = json.loads(answer.content)
    assert answer.status_code in (200, 409, 502), (answer.status_code, body)
    if answer.status_code == 200 and is_undisturbed and "Idempotent-Replayed" not in answer.headers:
        told = body["checkoutSession"]
        (session,) = [
            row for row in stage.objects("checkout.session") if row["id"] == told["providerCheckoutSessionId"]
        ]
        assert told["providerStatus"] == session["status"], "an old answer was taken for how things are"
    return answer.status_code, body


def pay(stage: Stage, session_id: str) -> None:
    """A person pays on the provider's page."""
    stage.control("POST", f"/_sim/checkout/sessions/{session_id}/pay")


def touch_subscription(stage: Stage) -> None:
    """Something about the newest subscription changes at the provider, a moment later."""
    newest = stage.objects("subscription")[-1]
    stage.stripe("POST", f"/v1/subscriptions/{newest['id']}", {"metadata[touched]": "yes"})


def refresh(stage: Stage) -> int:
    """The browser comes back and asks for a look."""
    return stage.call("POST", "/api/billing/checkout/refresh", {}).status_code


def recover(stage: Stage) -> None:
    """The recovery loop comes by."""
    recovery.recover_pending(limit=25)
    stage.settle()


def reconcile(stage: Stage, scopes: Sequence[str] = LOOPS) -> None:
    """Reconciliation comes by."""
    for scope in scopes:
        reconciliation.run(scope=scope)
    stage.settle()


def work_off(stage: Stage) -> None:
    """The workers do what is owed to the provider; whoever had a subscription keeps one."""
    before = _live_count(stage)
    outbox.tick(limit=25)
    remediation_work.tick(limit=10)
    stage.settle()
    assert _live_count(stage) or not before, "the last live subscription was cancelled"


def _live_count(stage: Stage) -> int:
    return sum(row["status"] in CURRENT_SUBSCRIPTION for row in stage.objects("subscription"))


def deliver_all(stage: Stage) -> None:
    """The provider's post brings what has not been taken from it yet."""
    done = StripeEventConsumption.objects.filter(consumer=webhooks.CONSUMER, status="done")
    known = set(done.values_list("event__provider_event_id", flat=True))
    for event in stage.events(*HANDLED):
        if event["id"] not in known:
            stage.deliver(event)


def come_to_rest(stage: Stage) -> None:
    """Deliver everything and run all loops twice, with time for leases, holds and back-offs to run out."""
    for _ in range(2):
        stage.pass_by(1_000)
        deliver_all(stage)
        recover(stage)
        reconcile(stage)
        work_off(stage)
    deliver_all(stage)
