"""The words and tones in which the pages write billing's states, sources and reasons."""

from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from billing.queries.activity_sources import SOURCES
from billing.states import Action, Flow, Scope

# One table for all sources: the same word means the same thing in each of them.
TONES: Final[dict[str, str]] = {
    "abandoned": "quiet",
    "active": "good",
    "canceled": "quiet",
    "completed_pending_subscription": "warn",
    "completed_reconciled": "good",
    "dead": "bad",
    "dead_letter": "bad",
    "expired": "quiet",
    "failed": "bad",
    "in_progress": "info",
    "incomplete": "warn",
    "incomplete_expired": "quiet",
    "leased": "info",
    "open": "info",
    "paid": "good",
    "past_due": "warn",
    "paused": "warn",
    "pending": "info",
    "processed": "good",
    "processing": "info",
    "received": "info",
    "recovery_verification_pending": "warn",
    "running": "info",
    "skipped": "quiet",
    "succeeded": "good",
    "trialing": "good",
    "uncollectible": "bad",
    "unpaid": "bad",
    "void": "quiet",
}
_LABELS: Final[dict[str, str]] = {
    "completed_pending_subscription": "Paid, subscription pending",
    "completed_reconciled": "Completed",
    "dead": "Given up",
    "dead_letter": "Given up",
    "done": "Processed",
    "leased": "In progress",
    "recovery_verification_pending": "Held",
}
SOURCE_LABELS: Final[dict[str, str]] = {
    "checkout_session": "Checkout session",
    "idempotency": "Request",
    "invoice": "Invoice",
    "outbox_job": "Outbox job",
    "payment": "Payment",
    "payment_method_sync": "Payment methods",
    "reconciliation_run": "Reconciliation",
    "remediation": "Remediation",
    "subscription": "Subscription",
    "webhook": "Webhook",
}
SOURCE_CHOICES: Final = tuple((source, SOURCE_LABELS.get(source, source)) for source in sorted(SOURCES))
FLOWS: Final[dict[str, str]] = {
    Flow.SUBSCRIPTION: "Subscription checkout",
    Flow.ONE_OFF: "One-off checkout",
    Flow.PAYMENT_LINK: "Payment link",
}
ACTIONS: Final[dict[str, str]] = {
    Action.CHECKOUT: "Checkout",
    Action.PORTAL: "Portal session",
    Action.PAYMENT_LINK: "Payment link",
}
SCOPES: Final[dict[str, str]] = {
    Scope.PENDING_RECENT: "Requests past their replay deadline, and events due for another try",
    Scope.CHECKOUT_RECOVERY_VERIFICATION: "Places held for checkouts whose fate nobody knows",
    Scope.CHECKOUT_COMPLETED_PENDING: "Paid sessions whose subscription has not come",
    Scope.CHECKOUT_OPEN: "Open sessions that should have ended, or were not read for an hour",
    Scope.SUBSCRIPTIONS_ACTIVE: "Current subscriptions, and duplicates of their customers",
    Scope.INVOICES_RECENT: "Invoices and payments of the last 30 days",
    Scope.PAYMENT_METHODS: "Payment methods of primary customers",
}
# What a person can make of the code under which an event failed; others speak for themselves.
REASONS: Final[dict[str, str]] = {
    "CHECKOUT_SESSION_CORRELATION_MISMATCH": (
        "The event names an operation, a customer or an entity that do not belong together here."
        " A replay helps once the row that it names is there; otherwise look at who made it at Stripe."
    ),
    "BILLING_SUBSCRIPTION_PLAN_UNCLEAR": (
        "No plan here, or more than one, has the prices of this subscription. Map its price to a plan, then"
        " replay."
    ),
    "BILLING_PROVIDER_UNAVAILABLE": "Stripe did not answer while the event was applied. A replay asks again.",
    "DATABASE_BUSY": "A lock did not come in time. A replay usually goes through.",
    "INTERNAL_ERROR": "The fault is ours. The log names it under this event's id.",
    "payload_expired": (
        "The payload is gone, here and at Stripe. Runs of subscriptions_active and invoices_recent read the"
        " things themselves."
    ),
}


def label(word: str) -> str:
    """Write a status as people read it."""
    return _LABELS.get(word) or word.replace("_", " ").capitalize()


def tone(word: str) -> str:
    """Give a status its colour."""
    return TONES.get(word, "quiet")


def events_href(**filters: str | int | None) -> str:
    """Lead to the explorer, narrowed; blank values are left out."""
    kept = {name: value for name, value in filters.items() if value not in (None, "")}
    return f"{reverse('console:billing-events')}?{urlencode(kept)}" if kept else ""
