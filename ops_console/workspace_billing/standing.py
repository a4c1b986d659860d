"""What a workspace subscribes to and how that stands, ready to print."""

import hashlib
from dataclasses import dataclass, field
from typing import Final

from billing.models import Invoice, PlanPrice, Subscription
from billing.services.snapshot import Snapshot
from ops_console import words
from ops_console.errors import Fact
from settld.core import money

LABELS: Final[dict[str, str]] = {
    "incomplete": "Waiting for the first payment",
    "trialing": "Trial",
    "active": "Active",
    "past_due": "Payment overdue",
    "paused": "Paused",
    "unpaid": "Unpaid",
}
TONES: Final[dict[str, str]] = {
    "incomplete": "warn",
    "trialing": "info",
    "active": "good",
    "past_due": "bad",
    "paused": "warn",
    "unpaid": "bad",
}
PROBLEMS: Final[dict[str, str]] = {
    "incomplete": "The first payment has not gone through. Nothing is granted until it does.",
    "past_due": "The last payment failed. The provider tries again; a working payment method settles it.",
    "unpaid": "Payments have failed and are not tried any more. Pay the open invoice to go on.",
    "paused": "The trial ended without a payment method. Add one to go on.",
}


@dataclass(frozen=True)
class Standing:
    """The status panel."""

    plan: str
    price: str = ""
    status: str = ""
    tone: str = "quiet"
    problem: str = ""
    facts: list[Fact] = field(default_factory=list)
    has_subscription: bool = False

    @property
    def version(self) -> str:
        """Name what is shown; it changes with it."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


NOTHING: Final = Standing(plan="No subscription")


def build(snapshot: Snapshot) -> Standing:
    """Say how the current subscription stands; no query but one for the prices."""
    subscription = snapshot.subscription
    if subscription is None:
        return NOTHING
    problem = PROBLEMS.get(subscription.status, "")
    owed = _owed(snapshot.invoices)
    return Standing(
        plan=subscription.plan.name,
        price=_price(snapshot),
        status=LABELS.get(subscription.status, words.label(subscription.status)),
        tone=TONES.get(subscription.status, "quiet"),
        problem=f"{problem} {owed}".strip() if problem else owed,
        facts=[fact for fact in (_until(subscription), _payer(snapshot), _last_paid(snapshot)) if fact.value],
        has_subscription=True,
    )


def _until(subscription: Subscription) -> Fact:
    """Say when it renews or ends; a cancellation is dated by its own day where it has one."""
    end = words.moment(subscription.cancel_at or subscription.current_period_end)
    renewal = words.moment(subscription.current_period_end)
    if subscription.cancel_at_period_end or subscription.cancel_at:
        return Fact("Ends on", _utc(end))
    if subscription.status == "trialing":
        return Fact("Trial ends on", _utc(words.moment(subscription.trial_end) or renewal))
    return Fact("Renews on" if subscription.status == "active" else "Period ends on", _utc(renewal))


def _utc(moment: str) -> str:
    return f"{moment} UTC" if moment else ""


def _payer(snapshot: Snapshot) -> Fact:
    return Fact("Invoices go to", (snapshot.customer.email or "") if snapshot.customer else "")


def _last_paid(snapshot: Snapshot) -> Fact:
    paid = next((invoice for invoice in snapshot.invoices if invoice.status == "paid"), None)
    if paid is None:
        return Fact("Last paid", "")
    on = f", {words.moment(paid.paid_at)} UTC" if paid.paid_at else ""
    return Fact("Last paid", f"{money.show(paid.amount_paid_minor, paid.currency)}{on}")


def _owed(invoices: list[Invoice]) -> str:
    """Say what the newest open invoice still asks for."""
    unpaid = next((one for one in invoices if one.status == "open" and one.amount_remaining_minor), None)
    if unpaid is None:
        return ""
    return f"{money.show(unpaid.amount_remaining_minor, unpaid.currency)} of an invoice is open."


def _price(snapshot: Snapshot) -> str:
    """Add up what the active items cost, where they recur alike; blank when a price is not known here."""
    items = [item for item in snapshot.items if item.is_active]
    ids = [item.billing_plan_price_id for item in items]
    known = {price.pk: price for price in PlanPrice.objects.filter(pk__in=[pk for pk in ids if pk])}
    prices = [(known.get(item.billing_plan_price_id or 0), item.quantity or 1) for item in items]
    found = [(price, quantity) for price, quantity in prices if price is not None]
    rhythms = {(price.currency, price.interval, price.interval_count) for price, _ in found}
    if len(found) != len(prices) or len(rhythms) != 1:
        return ""
    total = sum(price.unit_amount_minor * quantity for price, quantity in found)
    return each(total, found[0][0])


def each(amount_minor: int, price: PlanPrice) -> str:
    """Write an amount with the rhythm of a price, as in 49.00 USD per month."""
    count = price.interval_count
    rhythm = price.interval if count == 1 else f"{count} {price.interval}s"
    return f"{money.show(amount_minor, price.currency)} per {rhythm}"
